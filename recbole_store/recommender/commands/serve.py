"""``recbole-store serve``: a model as a web service."""

from __future__ import annotations

import os
from importlib.util import find_spec

from recbole_store.errors import ModelFolderError
from recbole_store.recommender.commands.asking import answer, load, model_parser
from recbole_store.settings.arguments import Parser, at_least_one

TOKEN = "RECBOLE_STORE_TOKEN"
EPILOG = f"""\
A page at / tries the model. New items are taken at POST /items from whoever sends the token that
the environment variable {TOKEN} holds; without it from nobody. openapi.json says what there is.
"""
FINISH_S = 30  # that requests have to be answered once the server is told to stop


def parser() -> Parser:
    """``serve MODEL [--port 8000]``."""
    p = model_parser("serve", "Answer requests for recommendations over HTTP.", EPILOG)
    p.add_argument("--port", type=at_least_one, default=8000, metavar="N", help="(8000)")
    p.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0: all (127.0.0.1)"
    )
    p.add_argument("--keep_items", action="store_true", help="save new items in MODEL")
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 stopped, 2 bad input, 130 interrupted."""
    arguments = parser().parse_args(argv)
    return answer(lambda: _serve(arguments))


def _serve(arguments) -> int:
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ModelFolderError(
            f'`serve` needs {missing[0]}: run `pip install "recbole-store[serve]"`.'
        )
    token = os.environ.get(TOKEN) or None
    store = load(arguments)
    import uvicorn

    from recbole_store.recommender.serving.app import make_app
    from recbole_store.recommender.serving.limits import hosts_of

    keep = (lambda: store.save(arguments.model)) if arguments.keep_items else None
    app = make_app(store, token, hosts_of(arguments.host), keep)
    print(f"{store!r} at http://{arguments.host}:{arguments.port}/", flush=True)
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        timeout_graceful_shutdown=FINISH_S,
    )
    return 0
