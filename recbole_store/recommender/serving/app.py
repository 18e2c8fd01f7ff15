"""The service: routes, limits, a clean end."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Body, FastAPI, Header, HTTPException, Query
from fastapi import Request as WebRequest
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from recbole_store.errors import InputError, UnknownItemError
from recbole_store.recommender.recommender import Recommender
from recbole_store.recommender.serving import limits
from recbole_store.recommender.serving.batches import Batches, Request, TooManyWaiting
from recbole_store.recommender.serving.measures import Measures
from recbole_store.recommender.serving.messages import (
    Added,
    ExplainRequest,
    Item,
    KnownItem,
    NewItemsRequest,
    RankedItem,
    Recommended,
    RecommendRequest,
)

PAGE = Path(__file__).with_name("page")
# The page loads nothing from anywhere else, and nobody frames it.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make_app(
    store: Recommender,
    token: str | None = None,
    hosts: list[str] | None = None,
    keep: Callable[[], object] | None = None,
) -> FastAPI:
    """The service of a model.

    Args:
        token: who sends it may add items; None: nobody may.
        hosts: names that the server answers to; None: any.
        keep: called when items were added, such as to save the model.
    """
    batches, measures = Batches(store), Measures()

    @asynccontextmanager
    async def lifespan(_):
        batches.start()
        yield
        await batches.stop()

    app = FastAPI(
        title=f"{store!r}",
        version=str(store.config["versions"].get("recbole_store", "1")),
        lifespan=lifespan,
        docs_url=None,  # they would load scripts from elsewhere; openapi.json is here
        redoc_url=None,
    )
    app.add_middleware(limits.BodyLimit)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts or ["*"])
    _handle_errors(app)
    _count(app, measures)
    _add_routes(app, store, batches, measures)
    _add_new_items(app, store, batches, token, keep)
    _add_page(app)
    return app


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(UnknownItemError)
    async def unknown(_, error):
        return JSONResponse({"detail": str(error)}, 404)

    @app.exception_handler(InputError)
    async def refused(_, error):
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(TooManyWaiting)
    async def busy(_, error):
        said = {"detail": "Too many requests are waiting; come again."}
        return JSONResponse(said, 503, {"Retry-After": "1"})


def _count(app: FastAPI, measures: Measures) -> None:
    @app.middleware("http")
    async def measured(request: WebRequest, call_next):
        started, status = time.perf_counter(), 500
        try:
            response = await call_next(request)
            status = response.status_code
            response.headers.update(HEADERS)
            return response
        finally:
            route = getattr(request.scope.get("route"), "path", "unknown")
            measures.add(route, status, time.perf_counter() - started)


def _add_routes(app: FastAPI, store: Recommender, batches: Batches, measures: Measures) -> None:
    catalogue = store.catalogue
    examples = {"history": {"value": {"items": catalogue.raw_ids[1:3], "k": 5}}}

    @app.post("/recommend")
    async def recommend(
        given: RecommendRequest = Body(openapi_examples=examples),  # noqa: B008 - FastAPI's way
    ) -> Recommended:
        """What comes next behind a history."""
        unknown = [raw for raw in given.items if raw not in catalogue.item_ids]
        only = None if given.only is None else tuple(given.only)
        history = catalogue.known(given.items)
        request = Request(history, given.user, given.k, given.exclude_seen, only)
        frame = store.frame(*await batches.rank(request))
        return Recommended(items=_ranked(frame), unknown_items=unknown)

    @app.get("/similar")
    async def similar(
        item: str = Query(max_length=200), k: int = Query(10, ge=1, le=limits.LIST)
    ) -> list[RankedItem]:
        """The items likest to one."""
        return _ranked(await batches.with_model(lambda: store.similar(item, k)))

    @app.post("/explain")
    async def explain(given: ExplainRequest) -> dict:
        """An item's codes and, with a history, what moved its score."""
        items = given.items or None
        return await batches.with_model(
            lambda: store.explain(given.item, items, given.user, given.k).as_dict()
        )

    @app.get("/items")
    async def find(
        query: str = Query(min_length=1, max_length=200), k: int = Query(10, ge=1, le=100)
    ) -> list[Item]:
        """Items whose titles hold all of the words, the most frequent first."""
        words = query.lower().split()
        found = [
            item
            for item in range(1, len(catalogue) + 1)
            if all(word in catalogue.title(item).lower() for word in words)
        ]
        found.sort(key=lambda item: -int(catalogue.counts[item]))
        return [_item(store, item) for item in found[:k]]

    @app.get("/items/{item_id:path}")
    async def item(item_id: str) -> KnownItem:
        """What is known of an item."""
        found = catalogue.item_id(item_id)
        return KnownItem(
            **_item(store, found).model_dump(),
            columns=catalogue.row(found),
            training_count=int(catalogue.counts[found]),
            is_new=found > catalogue.n_fitted,
        )

    @app.get("/health")
    async def health() -> dict:
        """Whether the server answers, and for which model."""
        return {"status": "ok", "model": repr(store), "items": len(store)}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        """For Prometheus."""
        n_batches, n_requests = batches.sizes
        gauges = {
            "waiting": batches.n_waiting,
            "batches": n_batches,
            "batched_requests": n_requests,
            "items": len(store),
        }
        return measures.text(gauges)


def _add_new_items(
    app: FastAPI, store: Recommender, batches: Batches, token: str | None, keep: Callable | None
) -> None:
    example = {"item_id": "new-1", **{column: "..." for column in store.catalogue.columns}}
    examples = {"one item": {"value": {"items": [example]}}}

    @app.post("/items")
    async def add(
        given: NewItemsRequest = Body(openapi_examples=examples),  # noqa: B008 - FastAPI's way
        authorization: str = Header(""),
    ) -> Added:
        """Let the model have new items; needs ``Authorization: Bearer TOKEN``."""
        if token is None:
            raise HTTPException(403, "This server takes no new items: it has no token.")
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "A token is needed.", {"WWW-Authenticate": "Bearer"})

        def task() -> Added:
            new = store.add_items(given.items)
            if new.raw_ids and keep is not None:
                keep()
            return Added(added=new.raw_ids, known=new.n_known, n_items=len(store))

        return await batches.with_model(task)


def _add_page(app: FastAPI) -> None:
    for name, file in {"/": "page.html", "/page.js": "page.js", "/page.css": "page.css"}.items():

        def answer(file=file) -> FileResponse:
            return FileResponse(PAGE / file)

        app.get(name, include_in_schema=False)(answer)

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return Response(status_code=204)  # browsers ask for one


def _item(store: Recommender, item_id: int) -> Item:
    catalogue = store.catalogue
    codes = store.codes(item_id)
    return Item(
        item_id=catalogue.raw_ids[item_id],
        title=catalogue.title(item_id),
        semantic_id=None if codes is None else list(codes),
    )


def _ranked(frame) -> list[RankedItem]:
    return [
        RankedItem(item_id=raw, title=title, score=score, semantic_id=codes and list(codes))
        for raw, title, score, codes in frame.itertuples(index=False)
    ]
