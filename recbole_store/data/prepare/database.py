"""DuckDB as preparation uses it: on disk, within a memory limit, without the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from recbole_store.errors import DataError

MEMORY = "1GB"  # what does not fit goes to the disk
ROWS_AT_ONCE = 50_000


def database(folder: Path | None = None, memory: str = MEMORY) -> duckdb.DuckDBPyConnection:
    """A new database in a folder, where it also puts what exceeds ``memory``; else a bare one."""
    settings = {"memory_limit": memory, "autoinstall_known_extensions": "false"}
    if folder is None:
        return duckdb.connect(config=settings)
    settings["temp_directory"] = str(folder / "spilled")
    return duckdb.connect(folder / "rows.duckdb", config=settings)


@contextmanager
def database_faults() -> Iterator[None]:
    """Say in one sentence that memory or disk was too small; let the user interrupt a query."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise DataError("Filters and sorting need more memory than --memory grants.") from error
    except duckdb.IOException as error:
        said = " ".join(str(error).split())
        raise DataError(f"The temporary database cannot be read or written: {said}") from error
    except RuntimeError as error:
        if "interrupted" in str(error):  # DuckDB's word for Ctrl-C
            raise KeyboardInterrupt from error
        raise
