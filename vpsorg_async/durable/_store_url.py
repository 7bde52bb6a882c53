"""Checks the address of a store, and a SQLite file, before anything else opens it."""

from __future__ import annotations

import os
import re
import sqlite3
import stat

from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

from .._errors import ConfigurationError


_SQLITE, _POSTGRES = "sqlite", "postgresql"
_MINE: Final = 0o600
_UNREADABLE: Final = re.compile(r"\s|%(?![0-9A-Fa-f]{2})|@.*@")
_FORMS = "give sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"


@attrs.frozen(kw_only=True)
class StoreURL:
    """The address of a store.

    Attributes:
        url: as it was given. It may have a password, and stands in no error.
        shown: the same without a password.
        file: the file of a SQLite store; `None` for Postgres.
    """

    url: str = attrs.field(repr=False)
    shown: str
    file: Path | None

    @property
    def postgres(self) -> str:
        """The address as psycopg reads it."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme.partition('+')[0]}://{rest}"

    def is_same(self, url: str) -> bool:
        """Return whether *url* is the address of the same database."""
        scheme, _, rest = url.partition("://")
        if self.file is not None:
            return scheme.startswith(_SQLITE) and Path(unquote(rest.removeprefix("/"))).resolve() == self.file.resolve()
        mine = self.url.partition("://")[2]
        return scheme.startswith(_POSTGRES) and rest.rpartition("@")[2] == mine.rpartition("@")[2]


def checked_store(store: object) -> StoreURL:
    """Return the address of a store.

    Raises:
        TypeError: it is no text.
        ConfigurationError: it is none of a store.
    """
    if not isinstance(store, str):
        raise TypeError(f"store takes an address, not {type(store).__name__}: {_FORMS}")
    scheme, separator, rest = store.partition("://")
    kind, _, driver = scheme.partition("+")
    if kind == _SQLITE and not driver and separator:
        return _sqlite(store, rest)
    if kind == _POSTGRES and driver in ("", "psycopg") and rest:
        return _postgres(scheme, rest)
    raise ConfigurationError(f"the store's address cannot be used: {_FORMS}")


def _sqlite(store: str, rest: str) -> StoreURL:
    path = rest.removeprefix("/")
    if path == rest and path:
        raise ConfigurationError(f"store={store!r} names a host, and a file has none; {_FORMS}")
    if not path or path.startswith(":memory:") or "?" in path:
        raise ConfigurationError(f"store={store!r} has no file: what is kept in memory survives nothing; {_FORMS}")
    if "\0" in unquote(path):
        raise ConfigurationError(f"store={store!r}: no file's name has a null character; {_FORMS}")
    # SQLAlchemy, which opens it, decodes the path too.
    return StoreURL(url=store, shown=store, file=Path(unquote(path)))


def _parts(rest: str) -> SplitResult | None:
    try:
        parts = urlsplit(f"//{rest}")
        readable = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if readable else None


def _postgres(scheme: str, rest: str) -> StoreURL:
    """Return the address of a database.

    Raises:
        ConfigurationError: it cannot be read. PostgreSQL's own library would quote the part that it cannot read, which
            may be of the password.
    """
    parts = _parts(rest)
    if parts is None or _UNREADABLE.search(rest) or "@" in rest.replace(parts.netloc, "", 1) or parts.fragment:
        raise ConfigurationError(
            f"the store's address cannot be read: {_FORMS}, with special characters of a password as %XX"
        )
    user, at, host = parts.netloc.rpartition("@")
    shown = f"{scheme}://{user.partition(':')[0]}{at}{host}{parts.path}"
    return StoreURL(url=f"postgresql+psycopg://{rest}", shown=shown, file=None)


def prepare_file(store: StoreURL) -> None:
    """Make the file of a SQLite store, readable by its owner alone, or check the one that is there.

    Raises:
        ConfigurationError: it cannot be written, or is no SQLite database.
    """
    assert store.file is not None
    path = store.file
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), _MINE)
        try:
            if stat.S_IMODE(os.fstat(handle).st_mode) != _MINE and hasattr(os, "fchmod"):
                os.fchmod(handle, _MINE)
        finally:
            os.close(handle)
    except OSError as error:
        raise ConfigurationError(f"store={store.shown!r}: {error.strerror or error}") from None
    if not os.access(path.parent, os.W_OK):
        raise ConfigurationError(f"store={store.shown!r}: its folder cannot be written, and SQLite needs that")
    _check_database(store)


def _check_database(store: StoreURL) -> None:
    assert store.file is not None
    try:
        with closing(sqlite3.connect(store.file, timeout=30.0)) as database:
            [(found,)] = database.execute("PRAGMA quick_check(1)").fetchall()
            # A full disk, or a file system that is read only, says so here.
            database.execute("CREATE TABLE IF NOT EXISTS vpsorg_write_test (one INTEGER)")
            database.execute("DROP TABLE vpsorg_write_test")
            database.commit()
    except (sqlite3.Error, ValueError) as error:
        raise ConfigurationError(f"store={store.shown!r} cannot be used: {error}") from None
    if found != "ok":
        raise ConfigurationError(f"store={store.shown!r} is damaged: {found}")
