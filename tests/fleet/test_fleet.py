"""What each method of a fleet does to its servers, what its outcomes hold, and what becomes of lost responses."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest

from tests.helpers_api import SPEC, CuttingProxy, VirtualClock, Where, client_of, client_over
from tests.helpers_fleet import FleetAPI, Hearing, meddled_client, posts_of, specs, states
from tests.rawserver import cut, drop, hang, json
from vpsorg_async import (
    Action,
    APIConnectionError,
    APITimeoutError,
    NotFoundError,
    OutcomeUnknownError,
    Server,
    ServerGoneError,
    ServerSpec,
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
        errors = [
            ZeroDivisionError("its own"),
            OutcomeUnknownError("in doubt"),
            APIConnectionError("sent", sent=True),
            APIConnectionError("not sent"),
        ]

        def refuse(server_id):
            raise errors[ids.index(server_id)]

        async with sandbox.client() as client:
            report = await client.fleet(ids).apply(refuse)

        assert [outcome.error for outcome in report] == errors
        assert states(report) == ["failed", "unknown", "unknown", "failed"]
        with pytest.raises(ExceptionGroup) as caught:
            report.raise_for_failures()
        assert list(caught.value.exceptions) == errors
        assert caught.value.message == "4 of 4 items failed or are unknown"

    async def test_one_that_does_not_end_is_ended_in_its_time(self, server, api):
        [first, second] = api.add(2, status="stopped")
        api.spoiled[second] = lambda _: hang()

        async with client_of(server) as client:

            async def work(server_id):
                if server_id == second:
                    await client.servers.start(server_id)
                await anyio.sleep_forever()

            report = await client.fleet([first, second]).apply(work, timeout=0.1)

        assert [(outcome.state, type(outcome.error)) for outcome in report] == [
            ("failed", APITimeoutError),
            ("unknown", APITimeoutError),
        ]
        assert str(report[0].error) == "it did not end within 0.1 s"
        assert (report[0].error.sent, report[1].error.sent) == (False, True)


class TestTimeOfAnItem:
    async def test_accepted_and_not_arrived_in_time_is_failed(self, server, api):
        ids = api.add(3, status="stopped")
        api.slow |= {ids[0], ids[2]}

        async with client_over(server, VirtualClock()) as client:
            report = await client.fleet(ids).start(timeout=30)

        assert states(report) == ["failed", "succeeded", "failed"]
        assert isinstance(report[0].error, WaitTimeoutError)
        assert (report[0].server.id, report[0].server.status) == (ids[0], "starting")
        assert report[0].server is report[0].error.server
        assert report[0].value.server.id == ids[0]

    async def test_a_command_without_a_response_is_unknown(self, server, api):
        [key] = api.add(1, status="stopped")
        api.spoiled[key] = lambda _: hang()

        async with client_of(server) as client:
            report = await client.fleet([key]).start(timeout=0.1)

        assert (report[0].state, type(report[0].error)) == ("unknown", APITimeoutError)

    async def test_it_is_counted_from_the_begin_of_each(self, sandbox, ids):
        async with sandbox.client() as client:
            began = sandbox._clock.now()
            # Each stop takes 10 to 30 s.
            report = await client.fleet(ids).stop(at_once=1, timeout=32)
            endless = await client.fleet(ids).start(timeout=None)

        assert states([*report, *endless]) == ["succeeded"] * 8
        assert sandbox._clock.now() - began > 40

    async def test_a_delete_that_leaves_the_server_there_is_failed(self, server, api):
        [key] = api.add(1)
        api.refused[key] = json(204, None)

        async with client_over(server, VirtualClock()) as client:
            report = await client.fleet([key]).delete(timeout=20)

        assert (report[0].state, type(report[0].error)) == ("failed", WaitTimeoutError)
        assert report[0].server.id == key


def one_each(api, report):
    """Tell whether each spec that succeeded has exactly the server that was made for it."""
    made = {key: api.servers[key]["name"] for key in api.created}
    assert len(set(made.values())) == len(made)
    for outcome in report.succeeded:
        assert made[outcome.server.id] == outcome.item.name == outcome.server.name


LOST = {
    "dropped": lambda _: drop(),
    "reset in the body": lambda reply: cut(reply, -7, reset=True),
    "500": lambda _: json(500, {"detail": "Oops."}),
    "503 without Retry-After": lambda _: json(503, {}),
}


class TestCreate:
    async def test_each_spec_becomes_a_server(self):
        sandbox = Sandbox(servers=1)
        given = specs(5, hostname="app.example.com", ssh_key_id=3, backups_enabled=True)

        async with sandbox.client() as client:
            report = await client.fleet.create(iter(given), at_once=2)

        made = {server["name"]: server for server in sandbox.servers[1:]}
        assert [outcome.item for outcome in report] == given
        assert [outcome.server.id for outcome in report] == [made[spec.name]["id"] for spec in given]
        assert {outcome.server.status for outcome in report} == {"active"}
        assert {(outcome.value.id, outcome.value.status) for outcome in report} == {
            (server["id"], "provisioning") for server in made.values()
        }
        assert {(one["hostname"], one["backups_enabled"]) for one in made.values()} == {("app.example.com", True)}

    async def test_without_waiting_done_when_it_was_accepted(self):
        sandbox = Sandbox()

        async with sandbox.client() as client:
            report = await client.fleet.create(specs(3), wait=False)

        assert [outcome.server.status for outcome in report] == ["provisioning"] * 3
        assert all(outcome.server is outcome.value for outcome in report)
        assert [call.method for call in sandbox.calls] == ["POST"] * 3

    async def test_a_spec_that_the_api_refuses_harms_no_other(self):
        sandbox = Sandbox()
        odd = ServerSpec(name="odd", plan_id=999, os_id=5, location="us-west")

        async with sandbox.client() as client:
            report = await client.fleet.create([*specs(2), odd])

        assert states(report) == ["succeeded", "succeeded", "failed"]
        assert report[2].error.fields.keys() == {"plan_id"}
        assert len(sandbox.servers) == 2

    async def test_one_that_does_not_come_up_is_failed_and_told_of(self, server, api):
        api.slow.add(1)

        async with client_over(server, VirtualClock()) as client:
            report = await client.fleet.create(specs(1), timeout=30)

        assert (report[0].state, type(report[0].error)) == ("failed", WaitTimeoutError)
        assert (report[0].server.id, report[0].server.status) == (1, "provisioning")

    @pytest.mark.parametrize("wait", [True, False])
    @pytest.mark.parametrize("spoil", LOST.values(), ids=LOST)
    async def test_every_answer_is_lost_and_every_server_is_found(self, server, api, spoil, wait):
        """C1: one POST and one server for each of a dozen specs, several at once, and all are returned."""
        server.answer("POST", "/servers/", api.committed(spoil))
        api.add(30, name="app-3")
        hearing = Hearing()

        async with client_of(server, on_event=hearing) as client:
            report = await client.fleet.create(specs(12), at_once=5, wait=wait)

        assert states(report) == ["succeeded"] * 12
        assert len(api.created) == len(server.requests_to("POST")) == 12
        assert [event.name for event in hearing.events].count("create.reconciled") == 12
        one_each(api, report)

    @pytest.mark.parametrize("where", [Where(down=0), Where(down=30, reset=True), Where(up=400), Where(up=40)])
    async def test_cut_at_a_byte_none_is_made_twice(self, server, api, where):
        """C1: what was made is returned, what was not is unknown, and nothing is sent twice."""
        with CuttingProxy(server) as proxy:
            proxy.where = where
            async with client_of(proxy, timeout=1.2) as client:
                report = await client.fleet.create(specs(8), at_once=4)

        assert len(server.requests_to("POST", "/servers/")) <= 8
        assert len(report.succeeded) + len(report.unknown) == 8
        assert [one.item.name for one in report.succeeded] == sorted(one["name"] for one in api.servers.values())
        one_each(api, report)

    async def test_two_for_one_spec_are_both_named(self, server, api):
        """C2: unknown, with its candidates, and no third create."""

        def twice(request):
            api.create(request)
            if request.json["name"] == "app-1":
                api.create(request)
            return drop()

        server.answer("POST", "/servers/", twice)

        async with client_of(server) as client:
            report = await client.fleet.create(specs(3), at_once=1)

        assert states(report) == ["succeeded", "unknown", "succeeded"]
        assert isinstance(report[1].error, OutcomeUnknownError)
        assert [candidate.id for candidate in report[1].error.candidates] == [2, 3]
        assert len(server.requests_to("POST")) == 3

    async def test_none_to_be_found_is_unknown(self, server, api):
        """C3: not found so far is not the same as not made."""
        server.answer("POST", "/servers/", drop())

        async with client_over(server, VirtualClock()) as client:
            report = await client.fleet.create(specs(2), at_once=1, tolerate=0)

        assert states(report) == ["unknown", "skipped"]
        assert "no such server was found so far" in str(report)
        assert len(server.requests_to("POST")) == 1

    async def test_a_listing_that_fails_leaves_it_unknown(self, server, api):
        """C4: neither the create nor the listing was answered."""
        server.answer("POST", "/servers/", drop())
        server.answer("GET", "/servers/", json(500, {}))

        async with client_over(server, VirtualClock()) as client:
            report = await client.fleet.create(specs(2))

        assert states(report) == ["unknown", "unknown"]
        assert "the listing failed" in str(report)

    async def test_closing_the_client_while_they_are_on_the_wire(self, server, api):
        """C5: unknown, and never a mere timeout."""
        server.answer("POST", "/servers/", api.committed(lambda _: hang()))
        client, reports = client_of(server), []

        async def go():
            reports.append(await client.fleet.create(specs(5), at_once=3))

        async with anyio.create_task_group() as group:
            group.start_soon(go)
            await server.arrived(3, "POST")
            await client.aclose()

        assert states(reports[0]) == ["unknown"] * 3 + ["skipped"] * 2
        assert {type(outcome.error) for outcome in reports[0].unknown} == {OutcomeUnknownError}

    async def test_the_time_of_an_item_leaves_a_third_for_polling(self, server, api):
        """C5: found within the item's time."""
        server.answer("POST", "/servers/", api.committed(lambda _: hang()))

        async with client_of(server) as client:
            report = await client.fleet.create(specs(3), timeout=0.9)

        assert states(report) == ["succeeded"] * 3
        one_each(api, report)

    async def test_refused_for_the_moment_they_are_tried_again(self, server, api):
        """C6: 429 says that nothing was done."""
        refusals = [json(429, {}, {"Retry-After": "0"})] * 5
        server.answer("POST", "/servers/", [*refusals, api.create])

        async with client_of(server) as client:
            report = await client.fleet.create(specs(8), at_once=4)

        assert states(report) == ["succeeded"] * 8
        assert Counter(server["name"] for server in api.servers.values()) == {spec.name: 1 for spec in specs(8)}
        one_each(api, report)

    async def test_a_create_of_the_same_name_beside_the_fleet(self, server, api):
        """C8: one after another, and neither takes the other's server."""
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))
        made = []

        async def beside(client):
            made.append(await client.servers.create(**{**SPEC, "name": "app-0"}))

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(beside, client)
            report = await client.fleet.create(specs(2), wait=False)

        assert states(report) == ["succeeded", "succeeded"]
        assert len({made[0].id, report[0].server.id, report[1].server.id}) == 3
        assert len(api.created) == 3

    async def test_servers_of_these_names_that_others_made_are_not_taken(self, server, api):
        """C9: of another plan, or from before."""
        api.add_like({**SPEC, "name": "app-0"}, age=3600)
        api.add_like({**SPEC, "name": "app-1", "plan_id": 2})
        server.answer("POST", "/servers/", drop())

        async with client_over(server, VirtualClock()) as client:
            report = await client.fleet.create(specs(2))

        assert states(report) == ["unknown", "unknown"]
        assert [outcome.server for outcome in report] == [None, None]


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
            report = await client.fleet(await client.servers.list()).reboot()

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

        assert states(report) == ["succeeded", "failed", "succeeded", "succeeded"]
        assert str(report[1].error) == "odd"
