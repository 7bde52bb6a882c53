"""Opens connections to the database of a store, as dbos needs them, and tells of its errors."""

from __future__ import annotations

import contextlib
import sqlite3
import time

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
import sqlalchemy.event
import sqlalchemy.exc

from .._errors import ConfigurationError


if TYPE_CHECKING:
    from collections.abc import Generator

    from ._store_url import StoreURL

_SUBSECONDS: Final = (3, 42)
"""The version of SQLite from which on `unixepoch` knows "subsec". Source: SQLite's list of changes."""


def engine_of(url: StoreURL, *, connections: int = 5) -> sqlalchemy.Engine:
    """Return what opens up to so many connections."""
    if url.file is None:
        return sqlalchemy.create_engine(url.url, pool_size=connections, max_overflow=0, pool_pre_ping=True)
    engine = sqlalchemy.create_engine(url.url, pool_size=connections, max_overflow=0)
    sqlalchemy.event.listen(engine, "connect", _opened)
    return engine


@contextlib.contextmanager
def telling(url: StoreURL, what: str) -> Generator[None, None, None]:
    """Say of an error of the database that the store cannot be *what*, without the statement and its values.

    Raises:
        ConfigurationError: the database has raised an error within.
    """
    try:
        yield
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise ConfigurationError(f"store={url.shown!r} cannot be {what}: {reason}") from None


def _opened(connection: Any, _record: Any) -> None:
    # As dbos's own connections: writers one after another, each waiting for its turn.
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")
    if sqlite3.sqlite_version_info < _SUBSECONDS:
        # dbos takes it for granted from Python 3.12 on. Debian 12 has SQLite 3.40 for every Python.
        connection.create_function("unixepoch", 1, _unixepoch)


def _unixepoch(when: str) -> float | int | None:
    now = time.time()
    return {"subsec": round(now, 3), "now": int(now)}.get(when)
