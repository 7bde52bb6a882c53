"""Holds a worker's name, so that no second live process has it: by a lock on a file, or on the Postgres database."""

from __future__ import annotations

import hashlib
import re

from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from .._error_base import InvalidArgumentError
from .._errors import ConfigurationError
from .._extras import remedy


if TYPE_CHECKING:
    import psycopg

    from ._store_url import StoreURL


_WORKER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class WorkerLock(Protocol):
    """The hold on a worker's name. A process that dies gives it back, whatever it dies of."""

    async def acquire(self) -> None:
        """Take the name.

        Raises:
            ConfigurationError: another live process has it, or the store cannot be reached.
        """

    async def check(self) -> None:
        """Return as soon as this process is known to hold the name, now.

        Raises:
            ConfigurationError: another process has it.
        """

    async def release(self) -> None:
        """Give the name back."""


def checked_worker(worker: object) -> str:
    """Return the name of a worker. It becomes a part of a file's name.

    Raises:
        TypeError: it is no text.
        InvalidArgumentError: it has other characters, or is too long.
    """
    if not isinstance(worker, str):
        raise TypeError(f"worker takes a text, not {type(worker).__name__}")
    if not _WORKER.fullmatch(worker):
        raise InvalidArgumentError(f"worker={worker!r:.80}: give 1 to 64 letters, digits, '.', '_' and '-'")
    return worker


def worker_lock(store: StoreURL, worker: str) -> WorkerLock:
    """Return the lock on the name *worker* at *store*."""
    return PostgresLock(store, worker) if store.file is None else FileLock(store, worker)


def _taken(store: StoreURL, worker: str) -> ConfigurationError:
    return ConfigurationError(
        f"worker={worker!r} is at work already, with store={store.shown!r}: its process is alive. "
        "Give each live process a name of its own"
    )


class FileLock:
    """A lock on a file beside a SQLite store. The operating system gives it back when the process ends."""

    def __init__(self, store: StoreURL, worker: str) -> None:
        try:
            from filelock import FileLock as Lock  # noqa: PLC0415 - of the extra alone
        except ImportError:
            raise ConfigurationError(MISSING) from None
        assert store.file is not None
        self._store, self._worker = store, worker
        # A symbolic link to the file is the same store.
        file = store.file.resolve()
        self._path = file.with_name(f"{file.name}.{worker}.lock")
        self._lock = Lock(self._path, timeout=0, mode=0o600, thread_local=False)
        # What the file was when it was locked.
        self._held: tuple[int, int] | None = None

    async def acquire(self) -> None:
        """Take the name."""
        from filelock import Timeout  # noqa: PLC0415 - of the extra alone

        try:
            self._lock.acquire()
            self._held = self._found()
        except Timeout:
            raise _taken(self._store, self._worker) from None
        except OSError as error:
            raise ConfigurationError(f"store={self._store.shown!r}: {error.strerror or error}") from None

    async def check(self) -> None:
        """Return if the file is the one that was locked: the operating system keeps the lock on it."""
        if self._held is None or self._found() != self._held:
            raise ConfigurationError(
                f"worker={self._worker!r} does not hold its name any more: {self._path} was removed or replaced while "
                "it was at work, and another process may have the name now"
            )

    async def release(self) -> None:
        """Give the name back."""
        self._held = None
        self._lock.release()

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


class PostgresLock:
    """An advisory lock of a session of its own. Postgres gives it back when the session ends."""

    def __init__(self, store: StoreURL, worker: str) -> None:
        self._store, self._worker = store, worker
        name = hashlib.sha256(f"vpsorg_async.durable/{worker}".encode()).digest()
        self._key = int.from_bytes(name[:8], "big", signed=True)
        self._session: psycopg.AsyncConnection[Any] | None = None
        # One at a time uses the session. A task that is cancelled gives it to the next.
        self._turn = anyio.Lock()

    async def acquire(self) -> None:
        """Take the name, by a new session."""
        import psycopg  # noqa: PLC0415 - of the extra alone

        try:
            await self._connect()
        except psycopg.Error as error:
            reason = " ".join(str(error).split())
            raise ConfigurationError(f"store={self._store.shown!r} cannot be reached: {reason}") from None

    async def check(self) -> None:
        """Return as soon as this process is known to hold the name: its session lives, or a new one has the lock."""
        import psycopg  # noqa: PLC0415 - of the extra alone

        async with self._turn:
            while True:
                try:
                    session = self._session or await self._connect()
                    await session.execute("SELECT 1")
                except psycopg.Error:
                    # Postgres is away. Nothing is sent until it is back.
                    await self.release()
                    await anyio.sleep(_AGAIN)
                else:
                    return

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        import psycopg  # noqa: PLC0415 - of the extra alone

        session = await psycopg.AsyncConnection.connect(self._store.postgres, autocommit=True, connect_timeout=10)
        try:
            cursor = await session.execute("SELECT pg_try_advisory_lock(%s)", (self._key,))
            row = await cursor.fetchone()
        except BaseException:
            await session.close()
            raise
        if row is None or not row[0]:
            await session.close()
            raise _taken(self._store, self._worker)
        self._session = session
        return session

    async def release(self) -> None:
        """Give the name back."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


MISSING = remedy("durable")

_AGAIN = 1.0
"""Seconds between two attempts to reach Postgres (assumed)."""
