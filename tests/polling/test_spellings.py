"""One server under several ids: its number, its UUID in either case, and with leading zeros."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers import action, detail, listed, page
from tests.rawserver import json
from tests.waits import POLL, SkippingClock, client_of, skipping_client_of
from vpsorg_async import InvalidArgumentError, Server
from vpsorg_async._polling.command_log import CommandLog
from vpsorg_async._polling.spellings import Spellings


UUID = "0b6f1c52-7c1e-4f0e-9b0a-2d5a3c1e7f11"


def server(server_id=7, **extra):
    return Server(id=server_id, name="web-01", status="active", extra=extra)


class TestSpellings:
    @pytest.mark.parametrize(
        ("given", "key"),
        [(7, "7"), ("7", "7"), ("07", "7"), ("0", "0"), (UUID.upper(), UUID), ("Web-1", "Web-1")],
        ids=repr,
    )
    def test_each_server_has_one_key(self, given, key):
        assert Spellings().key(given) == key

    def test_a_response_with_both_ids_makes_them_one(self):
        spellings = Spellings()
        learned = [spellings.learn(server(7, uuid=UUID.upper())), spellings.learn(server(7, uuid=UUID))]

        assert learned == [("7", UUID), None]
        assert [spellings.key(one) for one in (7, "07", UUID, UUID.upper())] == ["7"] * 4
        assert spellings.all_of("7") == ("7", UUID)
        assert [one in spellings for one in ("7", UUID, "8")] == [True, True, False]

    @pytest.mark.parametrize("extra", [{}, {"uuid": None}, {"uuid": 5}, {"uuid": ""}, {"uuid": "7"}], ids=repr)
    def test_anything_else_tells_nothing(self, extra):
        spellings = Spellings()

        assert (spellings.learn(server(7, **extra)), spellings.all_of("7")) == (None, ("7",))

    @pytest.mark.parametrize("first", [7, UUID])
    def test_a_command_is_known_by_either_id_from_then_on(self, first):
        """W48: the command log is kept by server."""
        log = CommandLog()
        with log.changing(first, 1.0, "reboot") as change:
            log.changed(change, 2.0)
        log.learn_ids(server(7, uuid=UUID))

        assert [log.pending(one) for one in (7, UUID, UUID.upper())] == [change] * 3


@pytest.mark.anyio
class TestWaits:
    @pytest.mark.parametrize("commanded", [7, "07", UUID, UUID.upper()])
    @pytest.mark.parametrize("awaited", [7, UUID])
    async def test_a_wait_by_another_id_waits_for_the_command(self, server, commanded, awaited):
        """W48: once a response has shown both ids."""
        told = [
            json(200, detail(7, status=status, uuid=UUID)) for status in ("active", "active", "rebooting", "active")
        ]
        polls = iter(told)
        for key in ("7", UUID, UUID.upper(), "07"):
            server.answer("GET", f"/servers/{key}/", lambda _: next(polls))
            server.answer("POST", f"/servers/{key}/reboot/", json(200, action(status="rebooting")))

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.get(7)
            await client.servers.reboot(commanded)
            await client.servers.wait_until(awaited, status="active", poll=POLL)

        assert next(polls, None) is None

    async def test_a_list_that_shows_both_serves_waits_by_either(self, server):
        """W48: neither wait needs a GET."""
        items = [listed(key, uuid=f"{UUID[:-2]}{key:02}") for key in range(1, 31)]
        server.answer("GET", "/servers/", json(200, page(*items)))
        ended = []

        async def wait(key):
            ended.append((await client.servers.wait_until(key, status="active", detail=False, timeout=20)).id)

        async with client_of(server) as client:
            await client.servers.list()
            async with anyio.create_task_group() as group:
                for item in items:
                    group.start_soon(wait, item["id"] if item["id"] % 2 else item["uuid"].upper())

        assert sorted(ended) == [item["id"] for item in items]
        assert [request.path for request in server.requests if request.path != "/servers/"] == []

    async def test_a_fleet_refuses_a_server_that_is_given_by_two_ids(self, server):
        """W48: it is the same server, as a response has shown."""
        server.answer("GET", "/servers/7/", json(200, detail(7, uuid=UUID)))

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.get(7)
            with pytest.raises(InvalidArgumentError, match="server 7 is there twice"):
                client.fleet([7, UUID.upper()])
            with pytest.raises(InvalidArgumentError, match="server 8 is there twice"):
                client.fleet([8, "08"])
