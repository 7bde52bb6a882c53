"""What each method of a fleet does to its servers, what its outcomes hold, and what becomes of lost responses."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers_api import SharedClock, client_of, client_over
from tests.helpers_fleet import FleetAPI, meddled_client, posts_of, states
from tests.rawserver import drop, hang, json
from vpsorg_async import (
    Action,
    APIConnectionError,
    APITimeoutError,
    NotFoundError,
    OutcomeUnknownError,
    Server,
    ServerGoneError,
    UnexpectedStatusError,
    WaitTimeoutError,
)
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio


@pytest.fixture
def api(server):
    return FleetAPI(server)


@pytest.fixture
def sandbox():
    return Sandbox(servers=4)


@pytest.fixture
def ids(sandbox):
    return [server["id"] for server in sandbox.servers]


def statuses(sandbox):
    return [server["status"] for server in sandbox.servers]


class TestCommands:
    @pytest.mark.parametrize(
        ("name", "before", "after"),
        [("start", "stopped", "active"), ("stop", "active", "stopped"), ("reboot", "active", "active")],
    )
    async def test_done_when_the_servers_have_got_there(self, sandbox, ids, name, before, after):
        async with sandbox.client() as client:
            if before == "stopped":
                await client.fleet(ids).stop()
            began = len(sandbox.calls)
            report = await getattr(client.fleet(ids), name)()
            again = await report[0].server.refresh()

        assert states(report) == ["succeeded"] * 4
        assert [outcome.server.id for outcome in report] == ids
        assert {outcome.server.status for outcome in report} == set(statuses(sandbox)) == {after}
        assert [outcome.value.server.id for outcome in report] == ids
        assert {type(outcome.value) for outcome in report} == {Action}
        assert again.id == ids[0]
        assert sorted(call.path for call in sandbox.calls[began:] if call.method == "POST") == [
            f"/servers/{server_id}/{name}/" for server_id in ids
        ]

    @pytest.mark.parametrize(("name", "through"), [("stop", "stopping"), ("reboot", "rebooting")])
    async def test_without_waiting_done_when_it_was_accepted(self, sandbox, ids, name, through):
        async with sandbox.client() as client:
            given = await client.servers.get(ids[0])
            report = await getattr(client.fleet([given, *ids[1:]]), name)(wait=False)

        assert states(report) == ["succeeded"] * 4
        assert statuses(sandbox) == [through] * 4
        assert [outcome.value.server.status for outcome in report] == [through] * 4
        assert [call.method for call in sandbox.calls] == ["GET", *["POST"] * 4]
        # As it was last seen, if it was.
        assert report[0].server is given is report[0].item
        assert [outcome.server for outcome in report[1:]] == [None] * 3

    async def test_delete(self, sandbox, ids):
        async with sandbox.client() as client:
            given = await client.servers.get(ids[0])
            report = await client.fleet([given, *ids[1:]]).delete()

        assert states(report) == ["succeeded"] * 4
        assert sandbox.servers == []
        assert [(outcome.server, outcome.value) for outcome in report] == [(given, None), *[(None, None)] * 3]

    async def test_delete_without_waiting_asks_for_nothing_more(self, sandbox, ids):
        async with sandbox.client() as client:
            report = await client.fleet(ids).delete(wait=False)

        assert states(report) == ["succeeded"] * 4
        assert [call.method for call in sandbox.calls] == ["DELETE"] * 4

    async def test_update(self, sandbox, ids):
        async with sandbox.client() as client:
            report = await client.fleet(ids).update(backups_enabled=False, hostname=None)

        assert [outcome.server.id for outcome in report] == ids
        assert [(outcome.server.backups_enabled, outcome.server.hostname) for outcome in report] == [(False, None)] * 4
        assert all(outcome.value is outcome.server for outcome in report)
        assert [call.json for call in sandbox.calls] == [{"backups_enabled": False, "hostname": None}] * 4

    async def test_wait_until(self, sandbox, ids):
        async with sandbox.client() as client:
            await client.fleet(ids).stop(wait=False)
            report = await client.fleet(ids).wait_until(status=["stopped", "suspended"])

        assert [outcome.server.status for outcome in report] == ["stopped"] * 4
        assert all(outcome.value is outcome.server for outcome in report)
        assert posts_of(sandbox) == 4

    async def test_wait_until_fails_as_a_wait_does(self, server, api):
        ids = [*api.add(1, status="suspended"), *api.add(1, status="provisioning"), 99]

        async with client_of(server) as client:
            report = await client.fleet(ids).wait_until(status="active", timeout=0)
            spared = await client.fleet(ids[:1]).wait_until(status="active", timeout=0, fail_on=())

        assert [(outcome.state, type(outcome.error)) for outcome in (*report, *spared)] == [
            ("failed", UnexpectedStatusError),
            ("failed", WaitTimeoutError),
            ("failed", ServerGoneError),
            ("failed", WaitTimeoutError),
        ]
        assert [outcome.server and outcome.server.id for outcome in report] == [ids[0], ids[1], None]


class TestApply:
    async def test_it_gets_what_was_given(self, sandbox, ids):
        got = []

        async with sandbox.client() as client:
            given = await client.servers.get(ids[0])

            async def name_of(item):
                got.append(item)
                server = item if isinstance(item, Server) else await client.servers.get(item)
                return server.name

            report = await client.fleet([given, ids[1], str(ids[2])]).apply(name_of, at_once=1)

        assert got[0] is given
        assert got[1:] == [ids[1], str(ids[2])]
        assert [outcome.value for outcome in report] == [server["name"] for server in sandbox.servers[:3]]
        assert [outcome.server for outcome in report] == [given, None, None]

    async def test_it_may_be_plain_or_return_what_can_be_awaited(self, sandbox, ids):
        async with sandbox.client() as client:
            plain = await client.fleet(ids).apply(lambda server_id: server_id * 2)
            listed = await client.fleet(ids[:1]).apply(lambda _: client.servers.list(location="nowhere"))
            nothing = await client.fleet(ids[:1]).apply(lambda _: None)

        assert [outcome.value for outcome in plain] == [server_id * 2 for server_id in ids]
        assert [listed[0].value, nothing[0].value] == [[], None]

    async def test_what_it_raises_is_the_outcomes_error(self, sandbox, ids):
        ids = [*ids, 999]
        errors = [
            ZeroDivisionError("its own"),
            OutcomeUnknownError("in doubt"),
            APIConnectionError("sent", sent=True),
            APIConnectionError("not sent", sent=False),
            APIConnectionError("rebuilt from its text"),
        ]

        def refuse(server_id):
            raise errors[ids.index(server_id)]

        async with sandbox.client() as client:
            report = await client.fleet(ids).apply(refuse)

        assert [outcome.error for outcome in report] == errors
        assert states(report) == ["failed", "unknown", "unknown", "failed", "unknown"]
        assert not any(outcome.accepted for outcome in report)
        with pytest.raises(ExceptionGroup) as caught:
            report.raise_for_failures()
        assert list(caught.value.exceptions) == errors
        assert caught.value.message == "5 of 5 items failed, are pending or are unknown"

    async def test_one_that_does_not_end_is_ended_in_its_time(self, server, api):
        [first, second] = api.add(2, status="stopped")
        api.spoiled[second] = lambda _: hang()

        async with client_of(server) as client:

            async def work(server_id):
                if server_id == second:
                    await client.servers.start(server_id)
                await anyio.sleep_forever()

            report = await client.fleet([first, second]).apply(work, timeout=1)

        assert [(outcome.state, type(outcome.error)) for outcome in report] == [
            ("failed", APITimeoutError),
            ("unknown", APITimeoutError),
        ]
        assert str(report[0].error) == "it did not end within 1 s"
        assert (report[0].error.sent, report[1].error.sent) == (False, True)


class TestTimeOfAnItem:
    async def test_accepted_and_not_arrived_in_time_is_pending(self, server, api):
        ids = api.add(3, status="stopped")
        api.slow |= {ids[0], ids[2]}

        async with client_over(server, SharedClock()) as client:
            report = await client.fleet(ids).start(timeout=30)

        assert states(report) == ["pending", "succeeded", "pending"]
        assert [outcome.accepted for outcome in report] == [True] * 3
        assert isinstance(report[0].error, WaitTimeoutError)
        assert (report[0].server.id, report[0].server.status) == (ids[0], "starting")
        assert report[0].server is report[0].error.server
        assert report[0].value.server.id == ids[0]

    async def test_a_command_without_a_response_is_unknown(self, server, api):
        [key] = api.add(1, status="stopped")
        api.spoiled[key] = lambda _: hang()

        async with client_of(server) as client:
            report = await client.fleet([key]).start(timeout=1)

        assert (report[0].state, type(report[0].error)) == ("unknown", APITimeoutError)

    async def test_it_is_counted_from_the_begin_of_each(self, sandbox, ids):
        async with sandbox.client() as client:
            began = sandbox._clock.now()
            # Each stop takes 10 to 30 s.
            report = await client.fleet(ids).stop(at_once=1, timeout=32)
            endless = await client.fleet(ids).start(timeout=None)

        assert states([*report, *endless]) == ["succeeded"] * 8
        assert sandbox._clock.now() - began > 40

    async def test_a_delete_that_leaves_the_server_there_is_pending(self, server, api):
        [key] = api.add(1)
        api.refused[key] = json(204, None)

        async with client_over(server, SharedClock()) as client:
            report = await client.fleet([key]).delete(timeout=20)

        assert (report[0].state, type(report[0].error)) == ("pending", WaitTimeoutError)
        assert report[0].server.id == key


class TestLostCommands:
    async def test_a_start_whose_answers_are_lost_is_found_out(self, server, api):
        ids = api.add(6, status="stopped")
        lost = set(ids)

        def lose_once(reply):
            return drop() if lost and lost.pop() else reply

        api.spoiled = dict.fromkeys(ids, lose_once)

        async with client_of(server) as client:
            report = await client.fleet(ids).start(at_once=3)

        assert states(report) == ["succeeded"] * 6
        assert not lost

    async def test_a_reboot_whose_answer_is_lost_is_not_sent_again(self, server, api):
        ids = api.add(3, status="active")
        api.spoiled = dict.fromkeys(ids, lambda _: drop())

        async with client_of(server) as client:
            # A list lacks what proves a reboot that no poll has shown.
            report = await client.fleet([await client.servers.get(key) for key in ids]).reboot()

        assert states(report) == ["succeeded"] * 3
        assert len(server.requests_to("POST")) == 3

    async def test_a_delete_whose_answers_are_lost_is_done(self, server, api):
        ids = api.add(3)
        api.spoiled = dict.fromkeys(ids, lambda _: drop())

        async with client_of(server) as client:
            report = await client.fleet(ids).delete()

        assert states(report) == ["succeeded"] * 3
        assert api.servers == {}

    async def test_a_server_that_was_not_there_is_not_deleted(self, sandbox, ids):
        async with sandbox.client() as client:
            report = await client.fleet([999]).delete()

        assert (report[0].state, type(report[0].error)) == ("failed", NotFoundError)

    async def test_an_error_of_the_transport_is_one_items_error(self, sandbox, ids):
        def meddle(request):
            return ValueError("odd") if request.url.path.endswith(f"/{ids[1]}/stop/") else None

        async with meddled_client(sandbox, meddle) as client:
            report = await client.fleet(ids).stop()

        # A transport of the user's does not tell whether the command was sent.
        assert states(report) == ["succeeded", "unknown", "succeeded", "succeeded"]
        assert str(report[1].error) == "odd"
