"""Waits for a status: what counts as the goal, what ends them early, and what their errors tell."""

from __future__ import annotations

import pickle
import re

import anyio
import pytest

from tests.helpers import detail, listed, page
from tests.rawserver import hold, json
from tests.waits import (
    POLL,
    SEVEN,
    TWICE,
    SkippingClock,
    accept,
    client_of,
    made_polls,
    shown,
    skipping_client_of,
    tell,
)
from vpsorg_async import (
    PollPolicy,
    ServerGoneError,
    ServerStatus,
    UnexpectedStatusError,
    WaitError,
    WaitTimeoutError,
)


pytestmark = pytest.mark.anyio
LASTING = ("active", "stopped", "suspended")


async def wait_for(server, status, **options):
    """Wait for server 7, on a clock on which pauses take no time; return the server seen."""
    async with skipping_client_of(server, SkippingClock()) as client:
        return await client.servers.wait_until(7, status=status, **{"poll": POLL, "timeout": 10, **options})


class TestGoal:
    @pytest.mark.parametrize("status", list(ServerStatus))
    @pytest.mark.parametrize("as_enum", [True, False])
    async def test_a_goal_that_holds_is_returned_at_the_first_poll(self, server, status, as_enum):
        """W15: one poll, and no sleep."""
        tell(server, str(status))
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            seen = await client.servers.wait_until(7, status=status if as_enum else str(status))

        assert seen.to_dict() == detail(status=str(status))
        assert (made_polls(server), clock.slept) == (1, [])

    async def test_any_of_several_will_do(self, server):
        """W15: with several goals the first one seen ends it."""
        tell(server, "starting", "active")

        seen = await wait_for(server, ["stopped", ServerStatus.ACTIVE])

        assert seen.status is ServerStatus.ACTIVE

    async def test_two_waits_on_one_server_get_each_its_own(self, server):
        """W20: one waits for `stopping`, one for `stopped`."""
        seen = {}
        tell(server, "active", "active", "stopping", "stopping", "stopping", "stopped")

        async def wait(client, status):
            seen[status] = (await client.servers.wait_until(7, status=status, poll=POLL)).status

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(wait, client, "stopping")
            group.start_soon(wait, client, "stopped")

        assert seen == {"stopping": "stopping", "stopped": "stopped"}

    async def test_one_fails_and_the_other_succeeds_by_the_same_polls(self, server):
        """W20: where one wait's goal is out of reach the other's may be there."""
        tell(server, "stopping", "stopping", "stopped")

        async def fail():
            with pytest.raises(UnexpectedStatusError):
                await client.servers.wait_until(7, status="active", poll=POLL)

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(fail)
            seen = await client.servers.wait_until(7, status="stopped", poll=POLL)

        assert seen.status == "stopped"

    @pytest.mark.parametrize(("old", "now"), [("active", "stopped"), ("provisioning", "stopped")])
    async def test_an_old_object_decides_nothing(self, server, old, now):
        """W23: the first poll decides, not the object that the wait was started from."""
        tell(server, old, now, now, "active")

        async with client_of(server) as client:
            server_object = await client.servers.get(7)
            seen = await server_object.wait_until(status="active", poll=POLL)

        assert (seen.status, made_polls(server)) == ("active", 4)

    async def test_an_old_object_that_shows_the_goal_is_not_the_goal(self, server):
        """W23: a poll is made although the object says that it is there."""
        tell(server, "active", "gone")
        server.answer("GET", SEVEN, [shown("active"), json(404, {"detail": "Not found."})])

        async with client_of(server) as client:
            old = await client.servers.get(7)
            with pytest.raises(ServerGoneError):
                await old.wait_until(status="active", poll=POLL)

        assert made_polls(server) == 2

    async def test_a_status_that_passes_quickly_is_returned_if_seen(self, server):
        """W26: `starting` is a goal like any other."""
        accept(server, "start")
        tell(server, "stopped", "starting")

        async with client_of(server) as client:
            await client.servers.start(7)
            seen = await client.servers.wait_until(7, status="starting", poll=POLL)

        assert seen.status == "starting"

    async def test_a_status_that_passes_quickly_may_have_been_missed(self, server):
        """W26: the timeout error says plainly that it may have passed between polls."""
        accept(server, "start")
        tell(server, "stopped", "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.start(7)
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="starting", poll=TWICE, timeout=10)

        assert str(caught.value) == (
            "server 7 did not become starting within 10 s: it was last seen active, for 0 s "
            "(seen: stopped -> active); starting passes quickly, and may have passed between two polls"
        )

    async def test_a_missed_status_after_a_command_that_never_took_effect(self, server):
        """W26: both are said: the command that shows no effect, and that the status passes quickly."""
        accept(server, "start")
        tell(server, "stopped")

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.start(7)
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="starting", poll=POLL, timeout=0.02)

        assert str(caught.value).endswith(
            "; the start that the API accepted 0 s ago never took effect"
            "; starting passes quickly, and may have passed between two polls"
        )


class TestUndocumentedStatus:
    @pytest.mark.parametrize("odd", ["migrating", "", None, 7, ["active"], "Active", "active "], ids=repr)
    async def test_it_is_no_success_and_no_failure(self, server, odd):
        """W7: the wait goes on until a documented status decides."""
        tell(server, shown(odd), shown(odd), "active")

        seen = await wait_for(server, list(LASTING))

        assert (seen.status, made_polls(server)) == ("active", 3)

    @pytest.mark.parametrize(
        ("odd", "words"),
        [
            ("migrating", "migrating"),
            ("", "with the status ''"),
            (None, "with the status None"),
            (7, "with the status 7"),
        ],
    )
    async def test_the_timeout_error_shows_it(self, server, odd, words):
        """W7: what was seen is said."""
        tell(server, shown(odd))

        with pytest.raises(WaitTimeoutError) as caught:
            await wait_for(server, "active", timeout=0.02)

        assert str(caught.value) == (f"server 7 did not become active within 0.02 s: it was last seen {words}, for 0 s")
        assert caught.value.server.id == 7

    async def test_an_odd_status_on_the_way_does_not_hide_where_it_ended(self, server):
        """W7: `provisioning`, something odd, `stopped`: it will not become `active`."""
        tell(server, "provisioning", "migrating", shown(None), "stopped")

        with pytest.raises(UnexpectedStatusError) as caught:
            await wait_for(server, "active")

        assert [item.status for item in caught.value.history] == ["provisioning", "migrating", "", "stopped"]


class TestOutOfReach:
    @pytest.mark.parametrize(
        ("way", "goal"),
        [
            (["provisioning", "stopped"], "active"),
            (["provisioning", "provisioning", "stopped"], "active"),
            (["starting", "stopped"], "active"),
            (["rebooting", "stopped"], "active"),
            (["stopping", "active"], "stopped"),
            (["stopped", "starting", "stopped"], "active"),
            (["starting", "active"], "starting-or-stopped"),
        ],
        ids=lambda value: value if isinstance(value, str) else ">".join(value),
    )
    async def test_a_transition_that_ends_elsewhere_fails_once_it_is_believed(self, server, way, goal):
        """W5: the error comes when every poll over 3 s has shown where it ended, with the history."""
        tell(server, *way)

        with pytest.raises(UnexpectedStatusError) as caught:
            await wait_for(server, "stopped" if goal == "starting-or-stopped" else goal, fail_on=())

        seen = [status for number, status in enumerate(way) if way[number - 1 : number] != [status]]
        assert [item.status for item in caught.value.history] == seen
        assert (caught.value.server.status, made_polls(server) > len(way)) == (way[-1], True)

    async def test_its_text_and_times(self, server):
        """W5: the error says how it came to be, and since when each status was seen."""
        tell(server, "provisioning", "stopped")

        with pytest.raises(UnexpectedStatusError) as caught:
            await wait_for(server, {"active", "suspended"})

        assert str(caught.value) == (
            "server 7 will not become active or suspended: it was provisioning and is now stopped "
            "(seen: provisioning -> stopped)"
        )
        first, second = caught.value.history
        assert first.at < second.at

    async def test_a_created_server_that_is_stopped_at_the_first_poll(self, server):
        """W5: it was `provisioning` when it was created."""
        server.answer("POST", "/servers/", json(201, detail(status="provisioning", message="ok")))
        tell(server, "stopped")

        async with skipping_client_of(server, SkippingClock()) as client:
            made = await client.servers.create(name="web-01", plan_id=1, os_id=5, location="us-west")
            with pytest.raises(UnexpectedStatusError, match=r"it was provisioning and is now stopped$"):
                await made.wait_until(status="active", poll=PollPolicy(minimum=1, maximum=1))

        assert made_polls(server) == 4

    async def test_a_created_server_that_was_listed_before_the_wait(self, server):
        """W5: a list that shows `provisioning` does not make the wait forget that it was under way."""
        server.answer("POST", "/servers/", json(201, detail(status="provisioning", message="ok")))
        server.answer("GET", "/servers/", json(200, page(listed(7, status="provisioning"))))
        tell(server, "stopped")

        async with skipping_client_of(server, SkippingClock()) as client:
            made = await client.servers.create(name="web-01", plan_id=1, os_id=5, location="us-west")
            await client.servers.list()
            with pytest.raises(UnexpectedStatusError, match=r"it was provisioning and is now stopped$"):
                await made.wait_until(status="active", poll=PollPolicy(minimum=1, maximum=1), timeout=10)

        assert made_polls(server) == 4

    async def test_a_lasting_status_without_a_transition_is_waited_in(self, server):
        """W5: nothing was under way, so somebody may yet begin it."""
        tell(server, "stopped", "stopped", "starting", "active")

        seen = await wait_for(server, "active")

        assert seen.status == "active"

    async def test_the_end_of_an_earlier_transition_is_not_the_end(self, server):
        """W5: `stopped`, which follows `active`, is the end of no start, however long it lasts."""
        tell(server, "starting", "active", *["stopped"] * 20, "starting", "suspended")

        seen = await wait_for(server, "suspended", fail_on=(), poll=PollPolicy(minimum=1, maximum=1), timeout=60)

        assert (seen.status, made_polls(server)) == ("suspended", 24)

    async def test_suspended_ends_it_once_it_is_believed(self, server):
        """W6: by default `suspended` puts every goal out of reach."""
        tell(server, "active", "suspended")

        with pytest.raises(UnexpectedStatusError) as caught:
            await wait_for(server, "stopped")

        assert str(caught.value) == ("server 7 will not become stopped: it is suspended (seen: active -> suspended)")

    @pytest.mark.parametrize("goal", ["suspended", ["stopped", "suspended"]])
    async def test_suspended_may_be_the_goal(self, server, goal):
        """W6: unless it is the goal."""
        tell(server, "active", "suspended")

        assert (await wait_for(server, goal)).status == "suspended"

    @pytest.mark.parametrize("fail_on", [(), None, "stopped", ["stopped", ServerStatus.STOPPING]], ids=repr)
    async def test_fail_on_may_leave_it_out(self, server, fail_on):
        """W6: with other `fail_on` a suspended server is waited for."""
        tell(server, "suspended", "suspended", "active")

        assert (await wait_for(server, "active", fail_on=fail_on)).status == "active"

    async def test_what_is_suspended_on_the_way_may_go_on(self, server):
        """W6: left out of `fail_on`, `suspended` is not where a start has ended."""
        tell(server, "starting", "suspended", "suspended", "active")

        assert (await wait_for(server, "active", fail_on=())).status == "active"

    @pytest.mark.parametrize("status", ["stopped", "stopping"])
    async def test_fail_on_takes_several(self, server, status):
        """W6: each of them ends it."""
        tell(server, "active", status)

        with pytest.raises(UnexpectedStatusError, match=f"it is {status}"):
            await wait_for(server, "suspended", fail_on=["stopped", ServerStatus.STOPPING])

    async def test_the_goal_beats_fail_on(self, server):
        """W6: a status that is both is the goal."""
        tell(server, "stopped")

        assert (await wait_for(server, "stopped", fail_on=["stopped", "suspended"])).status == "stopped"


class TestDeleted:
    async def test_404_is_success(self, server):
        """W11: the API no longer knows it."""
        server.answer("DELETE", SEVEN, json(204, None))
        server.answer(
            "GET", SEVEN, [shown("active"), shown("suspended"), json(404, {"detail": "Not found."}), shown("active")]
        )

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.delete(7)
            assert await client.servers.wait_until_deleted(7) is None

        assert made_polls(server) == 3

    async def test_an_object_waits_for_its_own_end(self, server):
        """W11: `server.wait_until_deleted()` is the same."""
        server.answer("GET", SEVEN, [shown("active"), json(404, {})])

        async with client_of(server) as client:
            old = await client.servers.get(7)
            assert await old.wait_until_deleted(timeout=0) is None

        assert made_polls(server) == 2

    async def test_a_command_pending_does_not_hold_it_up(self, server):
        """W11: gone is gone, also right after a reboot or a create."""
        accept(server, "reboot")

        async with client_of(server) as client:
            await client.servers.reboot(7)
            assert await client.servers.wait_until_deleted(7, timeout=0) is None

        assert made_polls(server) == 1

    async def test_a_server_that_stays_is_said_to_stay(self, server):
        """W11: a timeout says what it was last seen as."""
        tell(server, "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until_deleted(7, timeout=0)

        assert str(caught.value) == "server 7 did not become gone within 0 s: it was last seen active, for 0 s"


class TestOnChange:
    @pytest.mark.parametrize("kind", ["plain", "async"])
    async def test_it_is_called_for_every_change_in_order(self, server, kind):
        """Once for each change, the first status and the goal included, with the server then."""
        tell(server, "stopped", "stopped", "starting", "starting", "active")
        seen = []

        async def later(shown):
            await anyio.lowlevel.checkpoint()
            seen.append(shown.status)

        await wait_for(
            server, "active", on_change=later if kind == "async" else lambda shown: seen.append(shown.status)
        )

        assert seen == ["stopped", "starting", "active"]

    async def test_it_runs_in_the_waiters_own_task(self, server):
        """A cancel of the waiter's scope from inside it ends the wait."""
        tell(server, "stopped")

        with anyio.CancelScope() as scope:
            await wait_for(server, "active", on_change=lambda _: scope.cancel())

        assert (scope.cancelled_caught, made_polls(server)) == (True, 1)

    @pytest.mark.parametrize("kind", ["plain", "async"])
    async def test_what_it_raises_ends_that_wait(self, server, kind):
        """The exception comes out as it is, and the other wait goes on."""
        limiter = server.gate()
        tell(server, "stopped", "stopped", hold(shown("active"), limiter))

        def plain(_):
            raise LookupError("mine")

        async def later(_):
            plain(_)

        async def wait(client):
            seen.append(await client.servers.wait_until(7, status="active", poll=POLL))

        seen = []
        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(wait, client)
            with pytest.raises(LookupError) as caught:
                await client.servers.wait_until(
                    7, status="active", poll=POLL, on_change=later if kind == "async" else plain
                )
            limiter.open()

        assert (str(caught.value), seen[0].status) == ("mine", "active")

    async def test_the_server_that_it_gets_has_its_methods(self, server):
        """It may act on what it sees."""
        tell(server, "stopped", "stopped", "active")
        refreshed = []

        async def refresh(shown):
            refreshed.append((await shown.refresh()).status)

        await wait_for(server, "active", on_change=refresh)

        assert refreshed == ["stopped", "active"]


class TestEvents:
    async def test_a_wait_is_told(self, server):
        """The begin, each change of status, and the end are events."""
        tell(server, "stopped", "active")
        events = []

        async with client_of(server, on_event=events.append) as client:
            await client.servers.wait_until(7, status="active", timeout=5, poll=POLL)
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(7, status="stopped", timeout=0)

        told = [(event.name, event.fields.get("status") or event.fields.get("outcome")) for event in events]
        assert [item for item in told if item[0] != "poll.ended"] == [
            ("wait.began", None),
            ("wait.status", "stopped"),
            ("wait.status", "active"),
            ("wait.ended", "done"),
            ("wait.began", None),
            ("wait.status", "active"),
            ("wait.ended", "WaitTimeoutError"),
        ]
        assert [event.fields["timeout"] for event in events if event.name == "wait.began"] == [5, 0]


class TestArguments:
    @pytest.mark.parametrize(
        ("given", "kind", "words"),
        [
            ({"timeout": -1}, ValueError, "timeout=-1: give 0 or more seconds, or None for without end"),
            ({"timeout": float("nan")}, ValueError, "timeout=nan: give 0 or more seconds, or None for without end"),
            ({"timeout": float("inf")}, ValueError, "timeout=inf: give 0 or more seconds, or None for without end"),
            ({"timeout": "5"}, TypeError, "timeout takes seconds as a number, or None for without end, not '5'"),
            ({"timeout": True}, TypeError, "timeout takes seconds as a number, or None for without end, not True"),
            ({"status": ()}, ValueError, "status is empty: give at least one status to wait for"),
            ({"status": None}, TypeError, "status takes a status or a collection of statuses, not None"),
            ({"poll": 5}, TypeError, "poll must be a PollPolicy, not 5"),
            ({"on_change": 5}, TypeError, "on_change must be callable with a Server, not 5"),
        ],
        ids=lambda value: repr(value) if isinstance(value, dict) else "",
    )
    async def test_a_wrong_one_is_named(self, server, given, kind, words):
        """Nothing is sent, and the error names the argument and the remedy."""
        async with client_of(server) as client:
            with pytest.raises(kind) as caught:
                await client.servers.wait_until(7, **{"status": "active", **given})

        assert str(caught.value) == words
        assert server.requests == []

    @pytest.mark.parametrize("argument", ["status", "fail_on"])
    @pytest.mark.parametrize("given", ["actve", "ACTIVE", "", ["active", 5], [["active"]]], ids=repr)
    async def test_a_status_that_is_none_of_the_seven_is_refused(self, server, argument, given):
        """A typo must not wait for 15 minutes."""
        async with client_of(server) as client:
            with pytest.raises(ValueError, match=re.escape(f"{argument}=")) as caught:
                await client.servers.wait_until(7, **{"status": "active", argument: given})

        assert str(caught.value).endswith(" is no status: the seven are " + ", ".join(ServerStatus))
        assert server.requests == []

    @pytest.mark.parametrize("given", ["", "..", -1])
    async def test_an_id_that_cannot_be_is_refused(self, server, given):
        """As everywhere."""
        async with client_of(server) as client:
            for wait in (client.servers.wait_until(given, status="active"), client.servers.wait_until_deleted(given)):
                with pytest.raises(ValueError, match="server_id="):
                    await wait

        assert server.requests == []


class TestErrors:
    @pytest.mark.parametrize(
        ("told", "options", "kind"),
        [
            ((shown("active"),), {"timeout": 0}, WaitTimeoutError),
            ((shown("provisioning"), shown("stopped")), {}, UnexpectedStatusError),
            ((shown("stopped"), json(404, {})), {}, ServerGoneError),
            ((shown("stopped"), json(500, {}), json(404, {})), {}, ServerGoneError),
        ],
        ids=["timeout", "unexpected", "gone", "gone after an error"],
    )
    async def test_they_can_be_pickled_with_all_they_know(self, server, told, options, kind):
        """The copy has the text, the last server without a client, and the history."""
        server.answer("GET", SEVEN, told)
        with pytest.raises(WaitError) as caught:
            await wait_for(server, "suspended", fail_on=(), **options)

        copy = pickle.loads(pickle.dumps(caught.value))

        assert type(copy) is type(caught.value) is kind
        assert (str(copy), copy.server, copy.history) == (str(caught.value), caught.value.server, caught.value.history)
        assert copy.server.status == copy.history[-1].status

    def test_a_timeout_is_a_timeout_error(self):
        """So `except TimeoutError` takes it."""
        assert issubclass(WaitTimeoutError, TimeoutError)
