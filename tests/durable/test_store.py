"""Reads every byte of what a store has kept."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
import stat

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.durable.episodes import job_of
from tests.durable.postgres import Postgres
from tests.durable.processes import Processes
from tests.durable.served import Served
from vpsorg_async.sandbox.faults import Fault


TOKEN = "vps_token-that-must-not-be-kept"
PASSWORD = "root-password-of-the-new-server"
STORE_PASSWORD = "password-of-the-database"
WORDS = "Sorry, this is what the API says"
HEADER = "value-of-a-header"
PICKLES = (b"\x80\x04\x95", b"gASV", b"\x80\x05\x95", b"gAWV")
SURELY_NO_CHANCE = 8
NAMES = ["web-1", "web-2", "web-3", "web-4"]


def forms_of(secret: str) -> Iterator[bytes]:
    """Return a secret as it is, and in Base64 wherever it begins in a longer text."""
    data = secret.encode()
    yield data
    yield data.hex().encode()
    for before in range(3):
        # The first and last characters depend on what is beside the secret. Short secrets have no others.
        encoded = base64.b64encode(b"\0" * before + data)[4:-4]
        if len(encoded) >= SURELY_NO_CHANCE:
            yield encoded


def kept_in(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files, by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def leaks(files: dict[str, bytes], secrets: list[str]) -> list[tuple[str, str]]:
    """Return where a secret lies."""
    return [
        (name, secret)
        for name, data in files.items()
        for secret in secrets
        if any(form in data for form in forms_of(secret))
    ]


def story(processes: Processes, store: str) -> list[str]:
    """Let a worker see all kinds of secrets, and kill it. Return what must not be kept."""
    api = Served(servers=3, token=TOKEN)
    addresses = [server["ip_address"] for server in api.sandbox.servers]
    refusal = {"detail": WORDS, "name": [WORDS]}
    api.added = {"password": PASSWORD, "message": WORDS}
    api.sandbox.faults.add(
        Fault.status(400, refusal, {"X-Told": HEADER}, method="POST", path="^/servers/$", times=1),
        Fault.status(500, f"<h1>{WORDS}</h1>", {"X-Told": HEADER}, method="POST", path="reboot", times=1),
    )
    ids = api.ids
    items = {"create": NAMES, "reboot": ids[:2], "delete": ids[2:]}
    runs = [{"action": action, "name": action, "items": of_it} for action, of_it in items.items()]
    with api.serve() as base_url:
        # The time of an item bounds the search for what became of the reboot.
        how = {"options": {"timeout": 5.0}, "fleets": {"settle": 0.5}}
        job = job_of(base_url, store, "", [], token=TOKEN, runs=runs, stays=True, **how)
        process = processes.work(job, "several", umask=0)
        reports = process.wait_for("reports")
        process.kill()
        process.end()
        assert sorted(outcome["state"] for outcome in reports["create"]) == ["failed", *["succeeded"] * 3]
        assert sorted(outcome["state"] for outcome in reports["reboot"]) == ["succeeded", "unknown"]
        errors = [str(outcome["error"]) for report in reports.values() for outcome in report]
        assert not any(WORDS in error for error in errors)
        addresses += [server["ip_address"] for server in api.sandbox.servers]
    return [TOKEN, PASSWORD, STORE_PASSWORD, WORDS, HEADER, "Bearer", *filter(None, addresses)]


def json_texts(database: Path) -> Iterator[Any]:
    """Read everything in a SQLite file that looks as if it were serialized."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
            for column in set(columns) & {"inputs", "output", "error", "message", "value"}:
                for (text,) in connection.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"):
                    yield json.loads(text)


@pytest.mark.parametrize("kind", ["a new file", "a file that others may read"])
def test_a_sqlite_file_has_no_secrets_and_is_its_owners_alone(kind, tmp_path, processes):
    """D4: the token, a password, the API's words and addresses lie nowhere; modes are 600."""
    folder = tmp_path / "stores"
    folder.mkdir()
    file = folder / "fleet.sqlite"
    if kind != "a new file":
        file.touch(0o644)

    secrets = story(processes, f"sqlite:///{file}")

    files = kept_in(folder)
    assert leaks(files, secrets) == []
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}
    assert modes == dict.fromkeys(modes, "0o600")
    # What is kept is what the run needs, as JSON.
    assert all(name.encode() in b"".join(files.values()) for name in NAMES)
    assert not any(pickle in data for data in files.values() for pickle in PICKLES)
    assert len(list(json_texts(file))) > 10


def test_a_postgres_database_has_no_secrets(postgres: Postgres, processes):
    """D4: every file of the cluster, its log of changes too."""
    store = postgres.database().replace("postgres@", f"postgres:{STORE_PASSWORD}@")

    secrets = story(processes, store)

    postgres.sql("CHECKPOINT")
    files = kept_in(postgres.folder)
    assert leaks(files, secrets) == []
    assert any(b"web-1" in data for data in files.values())


def test_a_secret_would_be_found():
    """The search knows Base64, and finds a secret in the middle of it."""
    hidden = base64.b64encode(b'{"token": "' + TOKEN.encode() + b'"}')

    assert leaks({"a": hidden, "b": b"nothing"}, [TOKEN]) == [("a", TOKEN)]
