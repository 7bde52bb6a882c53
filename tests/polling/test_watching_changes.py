"""What a change of a watch says, over a real socket: what is kept, which fields changed, and when a watch is synced."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers import detail, listed, page
from tests.helpers_api import FakeAPI, client_of
from tests.rawserver import hold, json


pytestmark = pytest.mark.anyio
LIST, SEVEN = "/servers/", "/servers/7/"
GONE = json(404, {"detail": "Not found."})
QUICK = 0.005


async def take(watch, count):
    """Return the next changes, which have to come within a minute."""
    with anyio.fail_after(60):
        return [await anext(watch) for _ in range(count)]


def server_without(name, value):
    """Return a list's server 7 whose *name* is *value*; with `...` it has none."""
    return {key: given for key, given in {**listed(7), name: value}.items() if given is not ...}


class TestMerged:
    async def test_what_a_list_leaves_out_is_kept(self, server):
        """I9: a change from a list after one from a GET keeps what the GET said, and names what is different."""
        stopped = listed(7, status="stopped", updated_at="2025-10-15T12:00:00Z")
        server.answer("GET", SEVEN, json(200, detail(7)))
        server.answer("GET", LIST, json(200, page(stopped, listed(8))))

        async with client_of(server) as client:
            watch = client.servers.watch([7], interval=30)
            (appeared,) = await take(watch, 1)
            # Somebody else's poll, a list.
            await take(client.servers.watch(), 1)
            (changed,) = await take(watch, 1)

        assert (appeared.kind, changed.kind, changed.fields) == ("appeared", "changed", {"status"})
        assert changed.before == appeared.after
        assert changed.after.to_dict() == {**detail(7), **stopped, "plan": detail(7)["plan"]}

    async def test_a_field_that_changed_unseen_in_between_is_named(self, server):
        """A list showed no address, a GET of somebody else the first one, and another GET the second."""
        addresses = [f"2001:db8::{number}" for number in (7, 8)]
        server.answer("GET", LIST, json(200, page(listed(7))))
        server.answer("GET", SEVEN, [json(200, detail(7, ipv6_address=one)) for one in addresses])

        async with client_of(server) as client:
            watch = client.servers.watch(interval=30)
            await take(watch, 1)
            for _ in addresses:
                await client.servers.wait_until(7, status="active")
            (changed,) = await take(watch, 1)

        assert (changed.fields, changed.after.ipv6_address) == ({"ipv6_address"}, addresses[1])

    @pytest.mark.parametrize("name", ["name", "status"])
    @pytest.mark.parametrize("without", [None, ...], ids=["null", "left out"])
    async def test_a_name_or_status_that_does_not_come_now_and_then_is_no_change(self, server, name, without):
        """I9: what comes after it is told, also where the first list was without it."""
        lists = [
            server_without(name, without),
            listed(7),
            server_without(name, without),
            listed(7, **{name: "stopped"}),
        ]
        server.answer("GET", LIST, [json(200, page(one)) for one in lists])
        server.answer("GET", SEVEN, json(200, server_without(name, without)))

        async with client_of(server) as client:
            changes = await take(client.servers.watch(interval=QUICK), 3)

        assert [getattr(change.after, name) for change in changes] == ["", listed(7)[name], "stopped"]
        assert [change.fields for change in changes] == [set(), {name}, {name}]

    async def test_one_that_is_gone_has_its_last_state(self, server):
        server.answer("GET", SEVEN, [json(200, detail(7)), GONE])

        async with client_of(server) as client:
            gone = (await take(client.servers.watch([7], interval=QUICK), 2))[1]

        assert (gone.kind, gone.fields, gone.server.to_dict()) == ("gone", set(), detail(7))

    async def test_one_that_is_there_again_before_it_was_told_is_complete(self, server):
        """A GET, a 404 and a list, all between two takings."""
        server.answer("GET", SEVEN, [json(200, detail(7)), GONE, json(200, {"id": 7, "name": "new", "status": "x"})])

        async with client_of(server) as client:
            watch = client.servers.watch([7], interval=30)
            await take(watch, 1)
            for _ in range(2):
                with anyio.move_on_after(0.05):
                    await anext(client.servers.watch([7], interval=30))
            (changed,) = await take(watch, 1)

        assert (changed.fields, changed.after.ipv6_address) == ({"name", "status"}, detail(7)["ipv6_address"])

    async def test_a_change_belongs_to_the_client(self, server):
        """Also one that was put together: its methods work."""
        server.answer("GET", SEVEN, [json(200, detail(7)), json(200, {"id": 7, "name": "x", "status": "active"})])

        async with client_of(server) as client:
            changed = (await take(client.servers.watch([7], interval=QUICK), 2))[1]
            again = await changed.after.refresh()

        assert (changed.after.hostname, again.name) == (detail(7)["hostname"], "x")


class TestSynced:
    async def test_it_is_true_once_all_have_appeared(self, server):
        """With the last of them, so that a loop can end there."""
        FakeAPI(server).add(3, status="active")

        async with client_of(server) as client:
            watch = client.servers.watch(interval=QUICK)
            told = [watch.synced]
            for _ in range(3):
                await take(watch, 1)
                told.append(watch.synced)

        assert told == [False, False, False, True]

    async def test_it_stays_true(self, server):
        """What changes later is no part of the first round."""
        api = FakeAPI(server)
        api.add(2, status="active")

        async with client_of(server) as client:
            watch = client.servers.watch(interval=QUICK)
            await take(watch, 2)
            api.servers[1]["status"] = api.servers[2]["status"] = "stopped"
            await take(watch, 1)

            assert watch.synced

    async def test_an_account_without_servers_is_synced_after_a_list(self, server):
        """There is nothing to yield, so another task sees it."""
        FakeAPI(server)

        async with client_of(server) as client, anyio.create_task_group() as group:
            watch = client.servers.watch(interval=QUICK)
            group.start_soon(anext, watch)
            await server.arrived(2, "GET", LIST)
            assert watch.synced
            group.cancel_scope.cancel()

    async def test_a_failed_list_is_no_round(self, server):
        """Also where a GET of somebody else has shown a server."""
        gate = server.gate()
        server.answer("GET", LIST, [json(500, {}), hold(json(200, page(listed(7))), gate)])
        server.answer("GET", SEVEN, json(200, detail(7)))

        async with client_of(server) as client, anyio.create_task_group() as group:
            watch = client.servers.watch(interval=QUICK)
            group.start_soon(take, client.servers.watch([7], interval=QUICK), 1)
            await take(watch, 1)
            before = watch.synced
            gate.open()
            group.start_soon(anext, watch)
            await server.arrived(3, "GET", LIST)
            after = watch.synced
            group.cancel_scope.cancel()

        assert (before, after) == (False, True)

    async def test_those_given_are_synced_once_each_has_an_answer(self, server):
        """One of them was never there, another one answers late."""
        gate = server.gate()
        for key, reply in {7: json(200, detail(7)), 8: hold(json(200, detail(8)), gate), 9: GONE}.items():
            server.answer("GET", f"/servers/{key}/", reply)

        async with client_of(server) as client:
            watch = client.servers.watch([7, 8, 9], interval=30)
            first = await take(watch, 1)
            await server.arrived(1, "GET", "/servers/9/")
            before = watch.synced
            gate.open()
            second = await take(watch, 1)

            assert ([one.server.id for one in first + second], before, watch.synced) == ([7, 8], False, True)

    async def test_one_that_is_gone_before_it_was_told_is_not_waited_for(self, server):
        """Nothing is left to tell of it."""
        api = FakeAPI(server)
        api.add(2, status="active")

        async with client_of(server) as client:
            watch = client.servers.watch(interval=30)
            await take(watch, 1)
            del api.servers[2]
            with anyio.move_on_after(0.05):
                await anext(client.servers.watch([2], interval=30))

            assert watch.synced
