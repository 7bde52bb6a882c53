"""Opens stores that cannot be used."""

from __future__ import annotations

import contextlib
import os
import sqlite3

from pathlib import Path
from typing import Any

import pytest

from tests.durable.episodes import job_of
from tests.durable.postgres import Postgres
from tests.durable.processes import Processes
from tests.durable.served import Served
from vpsorg_async import ConfigurationError
from vpsorg_async.durable._store_url import checked_store


NAMES = [f"web-{number}" for number in range(8)]


def as_anybody() -> list[str]:
    """Return a command before another that lets root, too, be refused by a file's mode."""
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def assert_refused(processes: Processes, store: str, *, told: str, **how: Any) -> None:
    """Assert that a worker refuses the store with one readable error, and sends nothing."""
    api = Served()
    with api.serve() as base_url:
        process = processes.work(job_of(base_url, store, "create", NAMES), **how)
        facts = process.rest()

    assert facts == {"exit": 1}
    last = process.told.strip().splitlines()[-1]
    assert last.startswith("vpsorg_async.ConfigurationError: ")
    assert told in last
    assert api.sandbox.calls == []


def ended_store(processes: Processes, folder: Path) -> Path:
    """Return the file of a store that has an ended run."""
    file = folder / "fleet.sqlite"
    api = Served()
    with api.serve() as base_url:
        job = job_of(base_url, f"sqlite:///{file}", "create", ["old-1"], name="old")
        assert processes.work(job).rest()["exit"] == 0
    return file


class TestAtTheStart:
    def test_a_file_that_cannot_be_written_is_refused(self, tmp_path, processes):
        """D7: read only."""
        folder = tmp_path / "stores"
        folder.mkdir()
        file = ended_store(processes, folder)
        file.chmod(0o400)
        folder.chmod(0o500)
        try:
            assert_refused(processes, f"sqlite:///{file}", told=str(file), before=as_anybody())
        finally:
            folder.chmod(0o700)

    def test_a_folder_that_is_not_there_is_refused(self, tmp_path, processes):
        """D7: the path of the file is wrong."""
        assert_refused(processes, f"sqlite:///{tmp_path}/nowhere/fleet.sqlite", told="nowhere")

    def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(self, tmp_path, processes):
        """D7: something else lies there."""
        file = tmp_path / "fleet.sqlite"
        file.write_text("dear diary, " * 1000)

        assert_refused(processes, f"sqlite:///{file}", told="fleet.sqlite")

        assert file.read_text() == "dear diary, " * 1000

    def test_a_damaged_database_is_refused(self, tmp_path, processes):
        """D7: damaged pages."""
        file = ended_store(processes, tmp_path)
        for log in tmp_path.glob("fleet.sqlite-*"):
            log.unlink()
        data = bytearray(file.read_bytes())
        # All but the header.
        data[4096 : len(data) // 2] = os.urandom(len(data) // 2 - 4096)
        file.write_bytes(data)

        assert_refused(processes, f"sqlite:///{file}", told="fleet.sqlite")

    def test_a_store_of_a_later_version_is_refused(self, tmp_path, processes):
        """D7: another version, of the tables."""
        file = ended_store(processes, tmp_path)
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE dbos_migrations SET version = version + 1000")
        database.close()

        assert_refused(processes, f"sqlite:///{file}", told="version")

    def test_a_full_disk_is_refused(self, tmp_path, processes):
        """D7: full."""
        file = ended_store(processes, tmp_path)
        most = file.stat().st_size

        # A process whose coverage is measured could not write that to its end either.
        room = ["env", "-u", "COVERAGE_PROCESS_CONFIG", "prlimit", f"--fsize={most // 2}"]

        assert_refused(processes, f"sqlite:///{file}", told="fleet.sqlite", before=room)

    def test_a_postgres_that_is_not_there_is_refused(self, tmp_path, processes):
        """D7: no server at the socket."""
        assert_refused(processes, f"postgresql+psycopg://postgres@/fleets?host={tmp_path}", told="postgresql")

    def test_a_postgres_that_cannot_be_written_is_refused(self, postgres: Postgres, processes):
        """D7: a replica is read only."""
        store = postgres.database()
        name = store.partition("?")[0].rpartition("/")[2]
        postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

        assert_refused(processes, store, told="read-only")


class TestAddress:
    @pytest.mark.parametrize(
        "store",
        ["", "fleet.sqlite", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://host/name", "postgresql://"],
    )
    def test_what_is_no_store_is_refused(self, store):
        with pytest.raises(ConfigurationError) as caught:
            checked_store(store)

        assert "sqlite:///" in str(caught.value)

    def test_a_password_is_not_shown(self):
        store = checked_store("postgresql+psycopg://me:secret@host/name?password=secret")

        assert "secret" not in f"{store} {store.shown}"
        assert (store.file, "host/name" in store.shown) == (None, True)

    def test_a_file_is_relative_or_absolute_as_it_was_given(self):
        assert checked_store("sqlite:///a/b.sqlite").file == Path("a/b.sqlite")
        assert checked_store("sqlite:////a/b.sqlite").file == Path("/a/b.sqlite")

    def test_another_type_is_refused(self):
        with pytest.raises(TypeError):
            checked_store(Path("a.sqlite"))
