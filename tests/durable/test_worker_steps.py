"""Does the steps of an item in their order, whatever becomes of the store, the process or the run meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json as jsonlib

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from sqlalchemy.exc import OperationalError

from tests.durable.parts import Bench, arguments_of, bench, item_record, opened, spec, submit
from tests.helpers_api import SPEC
from tests.rawserver import drop, hold, json
from vpsorg_async import ClientClosedError, ConfigurationError, InsufficientCreditsError
from vpsorg_async.durable._engine import CURRENT
from vpsorg_async.durable._records import load_outcome
from vpsorg_async.durable._store import Store
from vpsorg_async.durable._worker import ItemWorker
from vpsorg_async.durable._worker_lock import worker_lock


pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", [("asyncio", {})], ids=["asyncio"])]

ROW = "vpsorg/web/0"
RECORD = item_record(spec(SPEC["name"]), arguments=arguments_of(own={"wait": False}))


class Steps:
    """Keeps the results of steps as a store does: a step whose result it has is not done again.

    The result of a step in `lost` it could not keep, once.
    """

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.lost: set[str] = set()

    async def __call__(self, name: str, function: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        if name not in self.kept:
            result = jsonlib.dumps(await function())
            if name in self.lost:
                self.lost.remove(name)
                raise OperationalError("INSERT", {}, Exception("database or disk is full"))
            self.kept[name] = result
        return jsonlib.loads(self.kept[name])


class LostLock:
    """The lock on a name that another process has taken since."""

    async def acquire(self) -> None:
        """Take the name."""

    async def check(self) -> None:
        raise ConfigurationError("worker='m1' is at work already")

    async def release(self) -> None:
        """Give the name back."""


@attrs.frozen(eq=False)
class Desk:
    """A worker of an API on a socket, and a store with a run `web`."""

    on: Bench
    store: Store
    worker: ItemWorker

    async def do(self, steps: Steps, record: Any = RECORD, row: str = ROW) -> Any:
        return load_outcome(record.index, record.item, await self.worker.item(row, record.to_dict(), steps))


@contextlib.asynccontextmanager
async def desk(server: Any, folder: Path, *, lock: Any = None, **options: Any) -> AsyncIterator[Desk]:
    async with bench(server, **options) as on, opened(folder) as store:
        await submit(store, "web")
        held = worker_lock(store.url, "m1") if lock is None else lock
        await held.acquire()
        try:
            CURRENT.worker = worker = ItemWorker(on.items, store, held, "m1", ends_dbos=False)
            yield Desk(on, store, worker)
        finally:
            CURRENT.worker = None
            await held.release()


async def test_the_intent_is_kept_before_the_command_is_sent_and_its_result_afterwards(server, tmp_path):
    steps = Steps()
    async with desk(server, tmp_path) as at:
        kept: list[list[str]] = []

        def create(request):
            kept.append([*steps.kept])
            return at.on.api.create(request)

        server.answer("POST", "/servers/", create)

        outcome = await at.do(steps)

        assert outcome.state == "succeeded"
        assert kept == [["intent"]]
        assert [*steps.kept] == ["intent", "command"]


async def test_an_item_that_is_begun_again_after_its_command_sends_nothing(server, tmp_path):
    steps = Steps()
    async with desk(server, tmp_path) as at:
        first = await at.do(steps)

        again = await at.do(steps)

        assert again == first
        assert at.on.posts == ["/servers/"]


async def test_a_worker_that_ends_before_the_command_keeps_that_it_was_not_sent(server, tmp_path):
    """D1: and the item is begun anew, with a note of its own."""
    steps = Steps()

    async def end_after_the_intent(name: str, function: Any) -> dict[str, Any]:
        result = await steps(name, function)
        if name == "intent":
            CURRENT.worker = None
        return result

    async with desk(server, tmp_path) as at:
        with pytest.raises(asyncio.CancelledError):
            await at.do(end_after_the_intent)
        assert (at.on.posts, jsonlib.loads(steps.kept["command"])) == ([], {"state": "not sent"})

        CURRENT.worker, earlier, done = at.worker, map(jsonlib.loads, [*steps.kept.values()]), []

        async def go_on(name: str, function: Any) -> dict[str, Any]:
            if (result := next(earlier, None)) is None:
                done.append(name)
                result = await function()
            return result

        assert ((await at.do(go_on)).state, at.on.posts, done) == ("succeeded", ["/servers/"], ["intent", "command"])


async def test_a_worker_that_has_ended_finds_out_nothing(server, tmp_path):
    """D1: what an earlier process may have sent is left to the next one, and so is sending it again."""
    steps = Steps()
    async with desk(server, tmp_path, on_ambiguous="resend", settle=0.1) as at:
        await at.do(steps)
        asked = len(server.requests)
        # As an earlier process has left it: with a note, and without a result.
        steps.kept = {"intent": jsonlib.dumps({**jsonlib.loads(steps.kept["intent"]), "boot": "an earlier one"})}
        CURRENT.worker = None

        with pytest.raises(asyncio.CancelledError):
            await at.do(steps)

        assert ([*steps.kept], len(server.requests)) == (["intent"], asked)


async def test_a_result_that_the_store_could_not_keep_is_remembered(server, tmp_path):
    """The disk is full for a moment: what the API said is not asked for again."""
    steps = Steps()
    steps.lost = {"command"}
    async with desk(server, tmp_path) as at:
        with pytest.raises(OperationalError):
            await at.do(steps)

        outcome = await at.do(steps)

        assert (outcome.state, outcome.server.id) == ("succeeded", at.on.api.created[0])
        assert at.on.posts == ["/servers/"]
        # It was not searched for either.
        assert at.on.api.listings <= 1


async def test_an_intent_that_the_store_could_not_keep_is_made_again(server, tmp_path):
    steps = Steps()
    steps.lost = {"intent"}
    async with desk(server, tmp_path) as at:
        with pytest.raises(OperationalError):
            await at.do(steps)
        assert at.on.posts == []

        assert (await at.do(steps)).state == "succeeded"
        assert at.on.posts == ["/servers/"]


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_command_that_was_interrupted_is_looked_for_and_not_sent_again(server, tmp_path, carried_out):
    steps = Steps()
    async with desk(server, tmp_path) as at:
        gate = server.gate()
        server.answer(
            "POST", "/servers/", lambda request: hold(at.on.api.create(request) if carried_out else drop(), gate)
        )
        async with anyio.create_task_group() as group:
            group.start_soon(at.do, steps)
            await server.arrived(1, "POST")
            group.cancel_scope.cancel()
        gate.open()

        outcome = await at.do(steps)

        assert outcome.state == ("succeeded" if carried_out else "unknown")
        assert at.on.posts == ["/servers/"]


async def test_a_command_of_another_process_is_looked_for_and_not_sent_again(server, tmp_path):
    """What was kept is the intent alone."""
    steps = Steps()
    async with desk(server, tmp_path / "") as at:
        intent = (await at.on.items.intend(RECORD)).to_dict()
        steps.kept["intent"] = jsonlib.dumps({**intent, "boot": "before"})
        there = at.on.api.add_like(SPEC)

        outcome = await at.do(steps)

        assert (outcome.state, outcome.server.id) == ("succeeded", there)
        assert at.on.posts == []


async def test_a_run_that_has_the_name_of_a_forgotten_one_is_another_one(server, tmp_path):
    """Its rows have the ids of those before: nothing of these is remembered."""
    async with desk(server, tmp_path) as at:
        first = await at.do(Steps())
        await at.store.stop("web")
        await at.store.forget("web")
        at.on.api.servers.clear()
        await submit(at.store, "web")

        again = await at.do(Steps())

        assert again.state == first.state == "succeeded"
        assert again.server.id != first.server.id
        assert at.on.posts == ["/servers/"] * 2


async def test_what_is_begun_after_a_stop_is_skipped_and_sends_nothing(server, tmp_path):
    async with desk(server, tmp_path) as at:
        await at.store.stop("web")

        outcome = await at.do(Steps())

        assert (outcome.state, outcome.error) == ("skipped", None)
        assert at.on.posts == []


async def test_a_run_that_has_the_name_of_a_stopped_and_forgotten_one_goes_on(server, tmp_path):
    async with desk(server, tmp_path) as at:
        await at.store.stop("web")
        assert (await at.do(Steps())).state == "skipped"
        await at.store.forget("web")
        await submit(at.store, "web")

        assert (await at.do(Steps())).state == "succeeded"


async def test_an_error_of_stop_on_stops_the_run(server, tmp_path):
    """It does so also when it was kept by a process that was killed right afterwards."""
    stopping = attrs.evolve(RECORD, arguments=arguments_of(stop_on=(InsufficientCreditsError,)))
    steps = Steps()
    steps.lost = {"stop"}
    async with desk(server, tmp_path) as at:
        server.answer("POST", "/servers/", json(402, {"error": "zq"}, at.on.api.headers))
        with pytest.raises(OperationalError):
            await at.do(steps, stopping)

        outcome = await at.do(steps, stopping)

        assert (outcome.state, type(outcome.error)) == ("failed", InsufficientCreditsError)
        assert await at.store.is_stopped("web")
        assert await at.store.is_over("web")
        assert at.on.posts == ["/servers/"]


async def test_another_error_lets_the_run_go_on(server, tmp_path):
    stopping = attrs.evolve(RECORD, arguments=arguments_of(stop_on=(InsufficientCreditsError,)))
    async with desk(server, tmp_path) as at:
        server.answer("POST", "/servers/", json(400, {"name": ["zq"]}, at.on.api.headers))

        assert (await at.do(Steps(), stopping)).state == "failed"

        assert not await at.store.is_stopped("web")


async def test_a_worker_whose_name_is_lost_sends_nothing(server, tmp_path):
    async with desk(server, tmp_path, lock=LostLock()) as at:
        with pytest.raises(ConfigurationError):
            await at.do(Steps())

        assert at.on.posts == []


async def test_an_item_whose_client_is_closed_is_left_as_it_is(server, tmp_path):
    steps = Steps()
    async with desk(server, tmp_path) as at:
        await at.on.client.aclose()

        with pytest.raises(ClientClosedError):
            await at.do(steps)

        assert "command" not in steps.kept
        assert at.on.posts == []


async def test_the_end_of_an_item_is_told_whatever_it_is(server, tmp_path):
    async with desk(server, tmp_path) as at:
        ended = at.worker.ended
        await at.do(Steps())
        assert ended.is_set()

        ended, steps = at.worker.ended, Steps()
        steps.lost = {"intent"}
        with pytest.raises(OperationalError):
            await at.do(steps)
        assert ended.is_set()
        assert not at.worker.ended.is_set()


@pytest.mark.parametrize("reason", ["the name is lost", "the client is closed"])
async def test_a_worker_that_cannot_go_on_ends_and_says_why(server, tmp_path, reason, monkeypatch):
    monkeypatch.setattr("vpsorg_async.durable._worker._ROUNDS", 0.01)
    lost = reason == "the name is lost"
    async with desk(server, tmp_path, lock=LostLock() if lost else None) as at:
        ended = at.worker.ended
        if not lost:
            await at.on.client.aclose()

        with anyio.fail_after(60):
            await at.worker.look_after()

        assert isinstance(at.worker.failure, ConfigurationError if lost else ClientClosedError)
        assert ended.is_set()


async def test_the_queues_of_runs_that_are_over_are_closed(server, tmp_path, monkeypatch):
    monkeypatch.setattr("vpsorg_async.durable._worker._ROUNDS", 0.01)
    async with desk(server, tmp_path) as at, anyio.create_task_group() as group:
        await submit(at.store, "over")
        await at.store.stop("over")
        group.start_soon(at.worker.look_after)

        with anyio.fail_after(60):
            while await at.store.queues() != ["web"]:
                await anyio.sleep(0.01)

        group.cancel_scope.cancel()
