"""Run STORE, RecBole's models, or a comparison of both; ``--help`` says how."""

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """The command line; see :mod:`recbole_store.cli`."""
    # Only what trains needs RecBole and torch: whoever does registers the plugin itself.
    os.environ["RECBOLE_STORE_REGISTER"] = "0"
    try:
        from recbole_store import cli
    finally:
        del os.environ["RECBOLE_STORE_REGISTER"]  # not for the processes of a comparison
    return cli.main(argv)


if __name__ == "__main__":
    sys.exit(main())
