"""Actions and servers from another process: bound to a client, and as hard to fool as where they come from."""

from __future__ import annotations

import copy
import json as jsonlib
import pickle
import subprocess
import sys

import pytest

from tests.helpers import ROOT, action
from tests.rawserver import json
from tests.waits import (
    AFTER,
    BEFORE,
    DATE,
    POLL,
    SEVEN,
    SkippingClock,
    accept,
    client_of,
    made_polls,
    shown,
    skipping_client_of,
    tell,
)
from vpsorg_async import (
    Action,
    ConfigurationError,
    InvalidArgumentError,
    PollPolicy,
    Server,
    ServerRef,
    WaitTimeoutError,
)
from vpsorg_async._servers import Servers


pytestmark = pytest.mark.anyio

OLDER = "2025-10-15T10:20:00Z"


def through_json(one):
    return type(one).from_dict(jsonlib.loads(jsonlib.dumps(one.to_dict())))


def through_pickle(one):
    return pickle.loads(pickle.dumps(one))


WAYS = pytest.mark.parametrize("way", [through_json, through_pickle, copy.deepcopy])


def at(date, status="active", **changes):
    """Return what a poll shows at that time on the API's clock."""
    reply = shown(status, **changes)
    head, _, body = reply.data.partition(b"\r\n\r\n")
    return type(reply)(head + f"\r\nDate: {date}".encode() + b"\r\n\r\n" + body)


async def rebooted(server, way=through_json, *, seen=True, date=DATE):
    """Return the action of a reboot as another process receives it."""
    accept(server, "reboot", date=date)
    server.answer("GET", SEVEN, shown("active", updated_at=BEFORE))
    async with client_of(server) as client:
        if seen:
            await client.servers.get(7)
        return way(await client.servers.reboot(7))


class TestWaits:
    @WAYS
    @pytest.mark.parametrize("by", ["Action.wait", "wait_until"])
    async def test_the_old_status_is_not_the_goal(self, server, way, by):
        """W39: W1 holds in the other process: the reboot has not begun there yet."""
        carried = await rebooted(server, way)
        tell(server, *[shown("active", updated_at=BEFORE)] * 3, "rebooting", "active")
        before = made_polls(server)

        async with skipping_client_of(server, SkippingClock()) as client:
            bound = client.servers.bind(carried)
            if by == "Action.wait":
                seen = await bound.wait()
            else:
                seen = await client.servers.wait_until(7, status="active")
            again = await seen.refresh()

        assert bound is carried
        assert (seen.status, again.status, made_polls(server) - before) == ("active", "active", 6)

    async def test_a_newer_time_proves_it_by_what_was_known_before(self, server):
        """W39: the baseline goes along."""
        carried = await rebooted(server)
        tell(server, at("Wed, 15 Oct 2025 12:00:03 GMT", updated_at=AFTER))
        before = made_polls(server)

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.bind(carried).wait()

        assert made_polls(server) - before == 1

    async def test_without_a_baseline_a_newer_time_proves_nothing(self, server):
        """W39: nothing was known before."""
        carried = await rebooted(server, seen=False)
        tell(server, shown("active", updated_at=AFTER))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitTimeoutError):
                await client.servers.bind(carried).wait(timeout=0)

    async def test_a_lagging_replica_shows_an_earlier_reboot(self, server):
        """W39: it is older than what the other process had seen, and shows nothing."""
        carried = await rebooted(server)
        tell(server, shown("rebooting", updated_at=OLDER), shown("active", updated_at=BEFORE))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitTimeoutError):
                await client.servers.bind(carried).wait(timeout=10, poll=PollPolicy(grace=60))

    async def test_its_age_is_by_the_apis_clock(self, server):
        """W39: two minutes later, the grace has passed."""
        carried = await rebooted(server, seen=False)
        tell(server, at("Wed, 15 Oct 2025 12:02:00 GMT", updated_at=None))
        before = made_polls(server)

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.bind(carried).wait()

        assert made_polls(server) - before == 1

    @pytest.mark.parametrize("date", [None, DATE])
    async def test_without_a_date_the_grace_begins_anew(self, server, date):
        """W39: of the answer, or of the polls."""
        carried = await rebooted(server, seen=False, date=date)
        tell(server, shown("active", updated_at=None) if date else at("Thu, 16 Oct 2025 12:00:00 GMT", updated_at=None))
        clock = SkippingClock()
        began = clock.now()

        async with skipping_client_of(server, clock) as client:
            await client.servers.bind(carried).wait()

        assert clock.now() - began >= 15

    async def test_an_effect_that_was_seen_is_not_waited_for_again(self, server):
        """W39: the other process had seen it rebooting."""
        accept(server, "reboot", date=DATE)
        async with client_of(server) as client:
            sent = await client.servers.reboot(7)
            tell(server, "rebooting")
            await client.servers.get(7)
            carried = through_json(sent)
        tell(server, shown("active", updated_at=BEFORE))
        before = made_polls(server)

        async with client_of(server) as client:
            await client.servers.bind(carried).wait(poll=POLL)

        assert made_polls(server) - before == 1

    async def test_an_answer_that_did_not_say_so_is_not_proven_by_minutes(self, server):
        """W39: the status in the answer goes along: it said `active`."""
        server.answer("POST", f"{SEVEN}reboot/", json(200, action(status="active"), {"Date": DATE}))
        async with client_of(server) as client:
            carried = through_json(await client.servers.reboot(7))
        tell(server, at("Wed, 15 Oct 2025 12:02:00 GMT", updated_at=None))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitTimeoutError):
                await client.servers.bind(carried).wait(timeout=100)

    async def test_what_was_seen_of_the_api_goes_along(self, server):
        """W39: it moves `updated_at` with each change of the status, so the server has not been rebooted yet."""
        tell(server, shown("starting", updated_at=OLDER), shown("active", updated_at=BEFORE))
        accept(server, "reboot", date=DATE)
        async with client_of(server) as client:
            await client.servers.get(7)
            await client.servers.get(7)
            carried = through_json(await client.servers.reboot(7))
        tell(server, at("Wed, 15 Oct 2025 14:00:00 GMT", updated_at=BEFORE))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitTimeoutError):
                await client.servers.bind(carried).wait(timeout=100)

    async def test_a_change_of_the_other_process_explains_a_newer_time(self, server):
        """W39: it renamed the server after the reboot was accepted."""
        accept(server, "reboot", date=DATE)
        tell(server, shown("active", updated_at=BEFORE))
        server.answer("PATCH", SEVEN, shown("active", updated_at=AFTER))
        async with client_of(server) as client:
            await client.servers.get(7)
            sent = await client.servers.reboot(7)
            await client.servers.update(7, backups_enabled=True)
            carried = through_json(sent)
        tell(server, shown("active", updated_at=AFTER))

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitTimeoutError):
                await client.servers.bind(carried).wait(timeout=0)

    async def test_a_real_process_waits_for_it(self, server):
        """W39: with the data on its standard input."""
        carried = await rebooted(server)
        tell(server, *[shown("active", updated_at=BEFORE)] * 2, "rebooting", "active")
        script = (
            "import json, sys, anyio\n"
            "from vpsorg_async import Action, Client, PollPolicy\n"
            "async def main():\n"
            "    async with Client('vps_test', base_url=sys.argv[1]) as client:\n"
            "        action = client.servers.bind(Action.from_dict(json.load(sys.stdin)))\n"
            "        print((await action.wait(poll=PollPolicy(minimum=0.1, maximum=0.1))).status)\n"
            "anyio.run(main)\n"
        )
        before = made_polls(server)

        done = subprocess.run(  # noqa: ASYNC221 - the raw server has a thread of its own
            [sys.executable, "-W", "error", "-c", script, server.base_url],
            input=jsonlib.dumps(carried.to_dict()),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

        assert (done.stdout, done.stderr) == ("active\n", "")
        assert made_polls(server) - before == 4


class TestBind:
    async def test_without_a_client_it_names_the_remedy(self, server):
        """W39: what is to be called."""
        carried = await rebooted(server)

        with pytest.raises(ConfigurationError) as caught:
            await carried.wait()

        assert str(caught.value) == (
            "this Action is a copy without a client: use client.servers.bind(action), then action.wait()"
        )

    async def test_a_server_gets_the_client(self, server):
        tell(server, "active")
        async with client_of(server) as client:
            carried = Server.from_dict(jsonlib.loads(jsonlib.dumps((await client.servers.get(7)).to_dict())))

            bound = client.servers.bind(carried)

            assert bound is carried
            assert (await bound.refresh()).id == 7

    async def test_what_belongs_to_another_client_stays_there(self, server):
        accept(server, "reboot")
        tell(server, "active", "rebooting", "active")
        async with client_of(server) as one, client_of(server) as other:
            seen, sent = await one.servers.get(7), await one.servers.reboot(7)

            server_there, action_there = other.servers.bind(seen), other.servers.bind(sent)

            assert (server_there, action_there) == (seen, sent)
            assert server_there is not seen
            assert action_there is not sent
            assert one.servers.bind(seen) is seen
            assert one.servers.bind(sent) is sent
            await one.aclose()
            assert (await action_there.wait(poll=POLL)).status == "active"

    async def test_one_that_was_made_by_hand_will_do(self, server):
        """Nothing is known of the server then, so only time or what is seen proves the reboot."""
        made = Action(name="reboot", status="success", message="", server=ServerRef(id=7, name="", status="rebooting"))
        tell(server, "active", "rebooting", "active")

        async with client_of(server) as client:
            await client.servers.bind(made).wait(poll=POLL)

        assert made_polls(server) == 3

    async def test_one_that_names_no_command_is_refused(self, server):
        made = Action(status="success", message="", server=ServerRef(id=7, name="", status="starting"))

        async with client_of(server) as client:
            with pytest.raises(InvalidArgumentError) as caught:
                client.servers.bind(made)

        assert str(caught.value) == ("this Action names no command: use client.servers.wait_until(7, status=...)")

    @pytest.mark.parametrize("thing", [7, "web-01", None, {"id": 7}, ServerRef(id=7, name="", status="")])
    async def test_anything_else_is_a_type_error(self, server, thing):
        async with client_of(server) as client:
            with pytest.raises(TypeError, match=r"^bind\(\) takes a Server or an Action, not "):
                client.servers.bind(thing)

    async def test_a_later_command_of_this_client_applies(self, server):
        """A carried action does not take the place of what this client knows."""
        carried = await rebooted(server)
        accept(server, "stop")
        tell(server, "stopped")

        async with client_of(server) as client:
            stopped = await client.servers.stop(7)
            client.servers.bind(carried)

            assert (await stopped.wait(poll=POLL)).status == "stopped"

    def test_it_is_a_method_of_the_servers(self):
        assert callable(Servers.bind)


async def test_the_data_have_no_secrets(server):
    """Neither the token nor anything else that the client was made with."""
    server.answer("POST", f"{SEVEN}start/", json(200, {**action(status="starting"), "password": "hunter2"}))

    async with client_of(server) as client:
        data = jsonlib.dumps((await client.servers.start(7)).to_dict())

    assert "vps_test" not in data
    assert "hunter2" not in data
