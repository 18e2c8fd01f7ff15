"""What a server accepts: sizes of requests, and whose name it answers to."""

from __future__ import annotations

import ipaddress

BODY = 1 << 20  # bytes
HISTORY = 1_000  # items
ONLY = 10_000  # items
LIST = 1_000  # items of an answer
NEW_ITEMS = 1_000  # of one request


class BodyLimit:
    """ASGI middleware that answers 413 to a body that is too long, declared or not."""

    def __init__(self, app, most: int = BODY):
        self.app, self.most = app, most

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self.most:
            await _too_long(send, self.most)
            return
        # All of it is read first, so that a long one meets no half-done work.
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client has gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.most:
                await _too_long(send, self.most)
                return
            if not message.get("more_body"):
                break
        whole = {"type": "http.request", "body": b"".join(parts), "more_body": False}
        waiting = [whole]

        async def receive_again():
            return waiting.pop() if waiting else await receive()

        await self.app(scope, receive_again, send)


async def _too_long(send, most: int) -> None:
    body = f'{{"detail":"A request may have {most} bytes."}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def hosts_of(host: str) -> list[str]:
    """Names that a server on this address answers to; ["*"] for any.

    On this machine alone it answers to its own names, so that no page of elsewhere reaches it
    under another.
    """
    is_local = host == "localhost"
    try:
        is_local = is_local or ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    return ["127.0.0.1", "localhost", "[::1]", host] if is_local else ["*"]
