"""`python -m vpsorg_async.durable`: what it prints, and its exit codes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.durable.parts import POLL, RETRY, TOKEN, given_run, opened, place, specs, store_in
from tests.helpers import ROOT
from vpsorg_async import Client
from vpsorg_async.durable import DurableFleets
from vpsorg_async.durable.__main__ import main
from vpsorg_async.durable._store import Store
from vpsorg_async.durable._store_url import checked_store, prepare_file
from vpsorg_async.sandbox import Sandbox


async def _keep_runs(folder: Path) -> None:
    """Keep a run that is over and one that has not begun."""
    async with place(folder, servers=1) as at:
        await (await at.fleets.create("done", specs("done-1", "done-2"), poll=POLL))
        await (await at.fleets.start("gone", [99_999], poll=POLL))
    store = Store(checked_store(store_in(folder)))
    run = given_run(["x"], per_second=None)
    await store.submit("waits", run.record(), run.items_of("waits"))
    await store.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a store with three runs."""
    made = tmp_path_factory.mktemp("store")
    anyio.run(_keep_runs, made)
    return made


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return what runs a command here, and gives its exit code and what it has printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


class TestStatus:
    def test_it_tells_of_all_runs(self, told, folder):
        code, out, err = told("status", "--store", store_in(folder))

        assert (code, err) == (0, "")
        assert out.splitlines() == [
            "done: create of 2, over: 2 succeeded",
            "gone: start of 1, over: 1 failed",
            "waits: create of 1, in progress: 1 skipped",
        ]

    def test_it_prints_the_report_of_one(self, told, folder):
        code, out, err = told("status", "--store", store_in(folder), "gone")

        assert (code, err) == (0, "")
        assert out.startswith("start of 1 item: 0 succeeded, 1 failed")
        assert "server 99999: failed: " in out

    @pytest.mark.parametrize(("name", "reason"), [("nobody", "there is no run 'nobody'"), ("a/b", "give 1 to 100")])
    def test_a_run_that_is_not_there_is_refused(self, told, folder, name, reason):
        code, out, err = told("status", "--store", store_in(folder), name)

        assert (code, out) == (2, "")
        assert reason in err

    def test_a_store_without_runs_says_so(self, told, tmp_path):
        async def use() -> None:
            async with opened(tmp_path):
                return

        anyio.run(use)

        code, out, err = told("status", "--store", store_in(tmp_path))

        assert (code, out, err) == (0, "there are no runs\n", "")

    def test_it_makes_no_store(self, told, tmp_path):
        code, out, err = told("status", "--store", store_in(tmp_path))

        assert (code, out) == (2, "")
        assert "there is no store" in err
        assert [*tmp_path.iterdir()] == []

    @pytest.mark.parametrize("spoil", ["a text", "a later version"])
    def test_a_store_that_cannot_be_read_is_refused(self, told, tmp_path, spoil):
        path = tmp_path / "fleet.sqlite"
        if spoil == "a text":
            path.write_text("no database at all\n" * 100)
        else:
            database = sqlite3.connect(path)
            database.execute("CREATE TABLE dbos_migrations AS SELECT 9999 AS version")
            database.commit()
            database.close()

        code, out, err = told("status", "--store", store_in(tmp_path))

        assert (code, out) == (2, "")
        assert err.startswith("store='sqlite:///")
        assert err.count("\n") == 1


@pytest.mark.parametrize("command", [["status"], ["take-over", "m1"]])
def test_a_file_that_no_worker_has_used_yet_is_refused(told, tmp_path, command):
    prepare_file(checked_store(store_in(tmp_path)))

    code, out, err = told(command[0], "--store", store_in(tmp_path), *command[1:])

    assert (code, out) == (2, "")
    assert "no worker has used the store" in err


@pytest.mark.parametrize("command", [["status"], ["take-over", "m2"], ["work", "--worker", "m1"]])
@pytest.mark.parametrize(
    "store", ["mysql://me:zq@host/db", "postgresql://me:zq%secret@host/db", "postgresql://me:zq@h:x/d"]
)
def test_an_address_that_cannot_be_used_is_refused_in_a_line(told, command, store, monkeypatch):
    monkeypatch.setenv("VPS_API_TOKEN", TOKEN)

    code, out, err = told(command[0], "--store", store, *command[1:])

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "zq" not in err


@pytest.mark.parametrize("arguments", [[], ["status"], ["work", "--store", "sqlite:///a"], ["nothing"]])
def test_what_is_no_command_is_refused_with_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert "usage: python -m vpsorg_async.durable" in capsys.readouterr().err


class TestTakeOver:
    @pytest.mark.parametrize("worker", [["m7"], ["--worker", "m7"]])
    def test_a_worker_that_has_left_nothing(self, told, folder, worker):
        code, out, err = told("take-over", "--store", store_in(folder), *worker)

        assert (code, err) == (0, "")
        assert out == "0 items of worker m7 will go on with the workers that are at work\n"

    @pytest.mark.parametrize("worker", ["../m1", "a/b", "", "m" * 65])
    def test_what_is_no_name_of_a_worker_is_refused(self, told, folder, worker):
        code, out, err = told("take-over", "--store", store_in(folder), worker)

        assert (code, out) == (2, "")
        assert "give 1 to 64 letters" in err

    def test_a_worker_that_is_alive_keeps_its_work(self, told, tmp_path):
        async def alive() -> tuple[int, str, str]:
            async with place(tmp_path):
                return await anyio.to_thread.run_sync(told, "take-over", "--store", store_in(tmp_path), "m1")

        code, out, err = anyio.run(alive)

        assert (code, out) == (2, "")
        assert "'m1' is at work already" in err


class TestWork:
    @pytest.fixture
    def sandbox(self) -> Iterator[Any]:
        sandbox = Sandbox()
        with sandbox.serve(speed=100) as base_url:
            yield sandbox, base_url

    def _work(self, folder: Path, base_url: str, *more: str, token: str | None = TOKEN) -> subprocess.Popen[str]:
        environment = {**os.environ, "VPS_API_URL": base_url, **({"VPS_API_TOKEN": token} if token else {})}
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "vpsorg_async.durable",
                "work",
                "--store",
                store_in(folder),
                "--worker",
                "m2",
                *more,
            ],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_it_works_on_what_another_process_has_begun_until_it_is_told_to_end(self, sandbox, tmp_path, number):
        api, base_url = sandbox

        async def begin() -> list[str]:
            async with Client(TOKEN, base_url=base_url, retry=RETRY) as client:
                fleets = DurableFleets(client, store=store_in(tmp_path), worker="m1", settle=0.5)
                async with fleets:
                    # This one is at work too, and one of both does it.
                    report = await (await fleets.create("web", specs("a", "b", "c"), poll=POLL))
                    return [outcome.state for outcome in report]

        with self._work(tmp_path, base_url) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "worker m2 works; end it with Ctrl-C\n"
            assert anyio.run(begin) == ["succeeded"] * 3
            worker.send_signal(number)
            out, err = worker.communicate(timeout=120)

        assert (worker.returncode, err) == (0, "")
        assert out == "worker m2 has ended; what is in progress goes on at its next start\n"
        assert sorted(server["name"] for server in api.servers) == ["a", "b", "c"]

    @pytest.mark.parametrize(("more", "reason"), [(("--settle", "-1"), "settle"), (("--worker", "a b"), "worker")])
    def test_what_cannot_be_used_is_refused_in_a_line(self, told, tmp_path, monkeypatch, more, reason):
        monkeypatch.setenv("VPS_API_TOKEN", TOKEN)

        code, out, err = told("work", "--store", store_in(tmp_path), "--worker", "m2", *more)

        assert (code, out) == (2, "")
        assert reason in err
        assert [*tmp_path.iterdir()] == []

    def test_it_says_that_it_needs_a_token(self, told, tmp_path):
        code, out, err = told("work", "--store", store_in(tmp_path), "--worker", "m2")

        assert (code, out) == (2, "")
        assert "VPS_API_TOKEN" in err
