"""What a fleet of creates makes, and what becomes of creates whose responses are lost."""

from __future__ import annotations

import time

from collections import Counter

import anyio
import pytest

from tests.helpers_api import SPEC, CuttingProxy, SharedClock, Where, client_of, client_over
from tests.helpers_fleet import FleetAPI, Hearing, specs, states
from tests.rawserver import cut, drop, hang, json
from vpsorg_async import OutcomeUnknownError, ServerSpec, WaitTimeoutError
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio


@pytest.fixture
def api(server):
    return FleetAPI(server)


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

    async def test_one_that_does_not_come_up_is_pending_and_told_of(self, server, api):
        api.slow.add(1)

        async with client_over(server, SharedClock()) as client:
            report = await client.fleet.create(specs(1), timeout=30)

        assert (report[0].state, type(report[0].error)) == ("pending", WaitTimeoutError)
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
            # What did not arrive whole is looked for as long as a client looks for anything.
            client = client_of(proxy, timeout=10) if where.up is None else client_over(proxy, SharedClock())
            if where.up is None:
                # A clock that stands still would differ from that of a client in real time, on a busy machine.
                began = time.monotonic()
                api.passed = lambda: time.monotonic() - began
            async with client:
                report = await client.fleet.create(specs(8), at_once=4)

        assert len(server.requests_to("POST", "/servers/")) <= 8
        assert len(report.succeeded) + len(report.unknown) == 8
        assert [one.item.name for one in report.succeeded] == sorted(one["name"] for one in api.servers.values())
        one_each(api, report)

    async def test_two_for_one_spec_are_both_named(self, server, api):
        """C2: unknown, with its candidates, and no third create."""

        def twice(request):
            api.create(request)
            if request.json["name"] == "app-2":
                api.create(request)
            return drop()

        server.answer("POST", "/servers/", twice)

        async with client_over(server, SharedClock()) as client:
            report = await client.fleet.create(specs(3), at_once=1)

        # The last one, because this API's clock stands still while the client searches for 15 s.
        assert states(report) == ["succeeded", "succeeded", "unknown"]
        assert isinstance(report[2].error, OutcomeUnknownError)
        assert [candidate.id for candidate in report[2].error.candidates] == [3, 4]
        assert len(server.requests_to("POST")) == 3

    async def test_none_to_be_found_is_unknown(self, server, api):
        """C3: not found so far is not the same as not made."""
        server.answer("POST", "/servers/", drop())

        async with client_over(server, SharedClock()) as client:
            report = await client.fleet.create(specs(2), at_once=1, tolerate=0)

        assert states(report) == ["unknown", "skipped"]
        assert type(report[0].error) is OutcomeUnknownError
        assert len(server.requests_to("POST")) == 1

    async def test_a_listing_that_fails_leaves_it_unknown(self, server, api):
        """C4: neither the create nor the listing was answered."""
        server.answer("POST", "/servers/", drop())
        server.answer("GET", "/servers/", json(500, {}))

        async with client_over(server, SharedClock()) as client:
            report = await client.fleet.create(specs(2))

        assert states(report) == ["unknown", "unknown"]
        assert {type(outcome.error) for outcome in report} == {OutcomeUnknownError}

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

    @pytest.mark.by_turns
    async def test_the_time_of_an_item_leaves_a_third_for_polling(self, server, api):
        """C5: found within the item's time."""
        server.answer("POST", "/servers/", api.committed(lambda _: hang()))

        async with client_of(server) as client:
            report = await client.fleet.create(specs(3), timeout=3)

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

        async with client_over(server, SharedClock()) as client:
            report = await client.fleet.create(specs(2))

        assert states(report) == ["unknown", "unknown"]
        assert [outcome.server for outcome in report] == [None, None]
