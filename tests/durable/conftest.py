"""Gives the tests worker processes, stores, and a PostgreSQL of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durable.postgres import Postgres
from tests.durable.processes import Processes
from vpsorg_async.sandbox._state import account


@pytest.fixture(autouse=True)
def _quick_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a create take a second instead of minutes, on a clock that is real."""
    for command in account.SECONDS:
        monkeypatch.setitem(account.SECONDS, command, (0.3, 1.0))


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Return what starts the processes of a test."""
    started = Processes(tmp_path)
    yield started
    started.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a running PostgreSQL."""
    cluster = Postgres()
    cluster.start()
    yield cluster
    cluster.remove()


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """Return the URL of a store that is not there yet."""
    return f"sqlite:///{tmp_path / 'fleet.sqlite'}"
