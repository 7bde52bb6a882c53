"""One item of a run: its outcome when the run is cancelled."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers_api import client_of
from tests.helpers_fleet import FleetAPI, Hearing, finish, specs, states
from tests.rawserver import hang, json
from vpsorg_async import (
    OutcomeUnknownError,
    StateConflictError,
    WaitError,
)


pytestmark = pytest.mark.anyio


@pytest.fixture
def api(server):
    return FleetAPI(server)


class TestCancelled:
    @pytest.mark.parametrize("name", ["start", "reboot"])
    async def test_half_way_the_report_tells_what_is_known(self, server, api, name):
        """F3: unknown is what was on the wire; accepted and not arrived is pending; the rest never began."""
        ids = api.add(8, status="stopped" if name == "start" else "active")
        api.refused[ids[1]] = json(400, {"detail": "No."})
        api.slow.add(ids[2])
        api.spoiled |= {ids[3]: lambda _: hang(), ids[4]: lambda _: hang()}
        hearing = Hearing()

        async with client_of(server, on_event=hearing) as client:
            # What a GET has shown before a reboot is what proves it.
            run = getattr(client.fleet([await client.servers.get(key) for key in ids]), name)(at_once=3)
            async with anyio.create_task_group() as group:
                group.start_soon(finish, run)
                await server.arrived(5, "POST")
                await hearing.of("wait.began", server=ids[2])
                await hearing.of("fleet.item", index=0)
                group.cancel_scope.cancel()

        report = run.report
        assert states(report) == ["succeeded", "failed", "pending", "unknown", "unknown", *["skipped"] * 3]
        assert [(type(outcome.error), str(outcome.error)) for outcome in report[2:5]] == [
            (WaitError, "cancelled after the command was accepted"),
            *[(OutcomeUnknownError, "cancelled with the command on the wire")] * 2,
        ]
        assert isinstance(report[1].error, StateConflictError)
        assert [outcome.item.id for outcome in report] == ids
        assert len(server.requests_to("POST")) == 5

    async def test_the_run_is_left_by_break(self, server, api):
        """F3: leaving the loop cancels what has not ended, and the report knows it all."""
        ids = api.add(6, status="stopped")
        api.slow.add(ids[1])
        api.spoiled[ids[2]] = lambda _: hang()
        api.spoiled[ids[3]] = lambda _: hang()
        hearing, asked = Hearing(), []

        async def note(request):
            asked.append(request)

        async with client_of(server, on_event=hearing) as client:
            # What the client asks, and not what the server has read by then.
            client.http.event_hooks["request"].append(note)
            async with client.fleet(ids).start(at_once=3) as run:
                async for outcome in run:
                    first = outcome
                    await server.arrived(4, "POST")
                    await hearing.of("wait.began", server=ids[1])
                    break
            before = len(asked)
            found = await client.servers.get(ids[0])

        assert (first.index, first.state, found.id) == (0, "succeeded", ids[0])
        assert states(run.report) == ["succeeded", "pending", "unknown", "unknown", "skipped", "skipped"]
        assert len(asked) == before + 1
        assert run.report.stopped_by is None

    async def test_creates_on_the_wire_are_unknown_and_told_of(self, server, api):
        """F3: a create whose answer nobody waits for any more may have made a server."""
        server.answer("POST", "/servers/", api.committed(lambda _: hang()))
        hearing = Hearing()

        async with client_of(server, on_event=hearing) as client, client.fleet.create(specs(4), at_once=2) as run:
            await server.arrived(2, "POST")

        assert states(run.report) == ["unknown", "unknown", "skipped", "skipped"]
        abandoned = {event.fields["name"] for event in hearing.events if event.name == "create.abandoned"}
        assert abandoned == {"app-0", "app-1"}

    async def test_what_waits_for_its_turn_was_not_sent(self, server, api):
        """F3: neither in the queue nor in the pause that the API asked for is anything on the wire."""
        ids = api.add(3, status="stopped")
        api.refused.update({key: json(429, {}, {"Retry-After": "20"}) for key in ids})
        hearing = Hearing()

        async with (
            client_of(server, on_event=hearing, max_connections=1) as client,
            client.fleet(ids).start(at_once=2) as run,
        ):
            await hearing.of("call.paused")
            await anyio.lowlevel.checkpoint()

        assert states(run.report) == ["failed", "failed", "skipped"]
        # Which of the two had its turn is the scheduler's to say.
        assert {str(outcome.error) for outcome in run.report.failed} == {
            "cancelled before it had ended",
            "cancelled before anything was changed",
        }
