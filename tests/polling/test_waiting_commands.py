"""Waits after commands: never fooled by the status from before, and over as soon as the effect is proven."""

from __future__ import annotations

import anyio
import pytest

from tests.helpers import action, detail, listed, page
from tests.rawserver import after, drop, hold, json
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
    APIConnectionError,
    OutcomeUnknownError,
    PollPolicy,
    RetryPolicy,
    StateConflictError,
    UnexpectedStatusError,
    WaitTimeoutError,
)


pytestmark = pytest.mark.anyio


def shown_in_list(updated_at):
    return json(200, page(listed(7, updated_at=updated_at)))


class TestReboot:
    @pytest.mark.parametrize("stale", [1, 2, 5])
    @pytest.mark.parametrize("status", ["active", ["active"], {"active", "stopped"}], ids=["one", "list", "set"])
    async def test_the_old_status_is_not_the_goal(self, server, stale, status):
        """W1: a reboot is not over while the old status is shown."""
        accept(server, "reboot")
        tell(server, *["active"] * stale, "rebooting", "rebooting", "active")

        async with client_of(server) as client:
            await client.servers.reboot(7)
            seen = await client.servers.wait_until(7, status=status, poll=POLL)

        assert (seen.status, made_polls(server)) == ("active", stale + 3)

    async def test_the_actions_own_wait_is_not_fooled_either(self, server):
        """W1: `action.wait` polls past the status from before."""
        accept(server, "reboot")
        tell(server, "active", "active", "rebooting", "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            action = await client.servers.reboot("7")
            seen = await action.wait()
            again = await seen.refresh()

        assert (seen.status, again.status, made_polls(server)) == ("active", "active", 5)

    @pytest.mark.parametrize(("given", "waited"), [(7, "7"), ("7", 7)], ids=["number first", "text first"])
    async def test_a_number_and_its_text_are_one_server(self, server, given, waited):
        """W1: 7 and "7" are the same server."""
        accept(server, "reboot")
        tell(server, "active", "rebooting", "active")

        async with client_of(server) as client:
            await client.servers.reboot(given)
            await client.servers.wait_until(waited, status="active", poll=POLL)

        assert made_polls(server) == 3

    @pytest.mark.parametrize("way", ["view", "Server"])
    async def test_it_counts_for_every_view_of_the_client(self, server, way):
        """W1: a command of one view is not forgotten by another."""
        accept(server, "reboot")
        tell(server, "active", "active", "rebooting", "active")

        async with client_of(server) as client:
            old = await client.servers.get(7)
            await client.with_options(timeout=5).servers.reboot(7)
            if way == "view":
                await client.with_options(timeout=6).servers.wait_until(7, status="active", poll=POLL)
            else:
                await old.wait_until(status="active", poll=POLL)

        assert made_polls(server) == 4

    async def test_a_get_in_between_does_not_make_it_over(self, server):
        """W1: a `get` or a list that shows the status from before changes nothing."""
        accept(server, "reboot")
        tell(server, "active", "active", "rebooting", "active")
        server.answer("GET", "/servers/", json(200, page(listed(7))))

        async with client_of(server) as client:
            await client.servers.reboot(7)
            await client.servers.get(7)
            await client.servers.list()
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 4

    @pytest.mark.parametrize("way", ["get", "list"])
    async def test_a_get_that_shows_the_effect_is_proof_for_later_waits(self, server, way):
        """W1: once it has been seen to leave, the next `active` is the goal."""
        accept(server, "reboot")
        tell(server, *(["rebooting"] if way == "get" else []), "active")
        server.answer("GET", "/servers/", json(200, page(listed(7, status="rebooting"))))

        async with skipping_client_of(server, SkippingClock()) as client:
            action = await client.servers.reboot(7)
            if way == "get":
                await client.servers.get(7)
            else:
                await client.servers.list()
            before = made_polls(server)
            await client.servers.wait_until(7, status="active", poll=POLL)
            await action.wait()

        assert made_polls(server) - before == 2

    async def test_a_refused_command_leaves_the_one_before_it_pending(self, server):
        """W1: a second reboot that the API refuses does not make the wait forget the first."""
        accept(server, "reboot")
        tell(server, "active", "rebooting", "active")
        server.answer("POST", f"{SEVEN}stop/", json(400, {"error": "Server is rebooting"}))

        async with client_of(server) as client:
            await client.servers.reboot(7)
            with pytest.raises(StateConflictError):
                await client.servers.stop(7)
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 3

    async def test_a_refused_command_is_waited_for_by_nobody(self, server):
        """W15: after a reboot that the API refused, `active` is `active`."""
        server.answer("POST", f"{SEVEN}reboot/", json(400, {"error": "Server is not active"}))
        tell(server, "active")

        async with client_of(server) as client:
            with pytest.raises(StateConflictError):
                await client.servers.reboot(7)
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 1

    @pytest.mark.parametrize("other", ["stopped", "migrating", "stopping"])
    async def test_any_other_status_shows_that_it_left(self, server, other):
        """W1: whatever else than `active` it was seen in: it has left."""
        accept(server, "reboot")
        tell(server, "active", other, "active")

        async with client_of(server) as client:
            await client.servers.reboot(7)
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 3

    @pytest.mark.parametrize("status", [None, "", 7])
    async def test_no_status_at_all_does_not_show_that_it_left(self, server, status):
        """W1: a response without a readable status says nothing."""
        accept(server, "reboot")
        tell(server, shown(status), "active", "rebooting", "active")

        async with client_of(server) as client:
            await client.servers.reboot(7)
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 4

    async def test_a_lost_reboot_is_waited_for_as_well(self, server):
        """W1: it may have been carried out: the status from before is no proof."""
        server.answer("POST", f"{SEVEN}reboot/", drop())
        tell(server, "active", "active", "rebooting", "active")

        async with client_of(server, timeout=1) as client:
            with pytest.raises(OutcomeUnknownError):
                await client.servers.reboot(7)
            before = made_polls(server)
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert (before, made_polls(server)) == (1, 4)

    async def test_a_lost_reboot_that_a_poll_proved_is_over_when_it_is_active(self, server):
        """W2: what proved the lost reboot is proof for the wait too."""
        server.answer("POST", f"{SEVEN}reboot/", drop())
        tell(server, "rebooting", "active")

        async with client_of(server, timeout=1) as client:
            action = await client.servers.reboot(7)
            await action.wait(timeout=0)

        assert made_polls(server) == 2

    async def test_a_cancelled_reboot_is_waited_for_as_well(self, server):
        """W1: cancelled on the wire, it may have been carried out."""
        server.answer("POST", f"{SEVEN}reboot/", hold(json(200, {}), server.gate()))
        tell(server, "active", "rebooting", "active")

        async with client_of(server) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.servers.reboot, 7)
                await server.arrived(1, "POST")
                group.cancel_scope.cancel()
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 3


class TestRebootBetweenTwoLooks:
    async def reboot_and_wait(self, server, *told, date=DATE, poll=POLL, before=BEFORE, **wait):
        """Take a baseline, reboot, and wait; return how many polls the wait made."""
        accept(server, "reboot", date=date)
        tell(server, shown(updated_at=before), *told)
        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.get(7)
            await client.servers.reboot(7)
            await client.servers.wait_until(7, status="active", poll=poll, **wait)
        return made_polls(server) - 1

    @pytest.mark.parametrize("updated_at", [AFTER, "2025-10-15T12:00:00Z", "2025-10-15T11:59:58Z"])
    async def test_a_newer_update_is_proof(self, server, updated_at):
        """W2: no poll says `rebooting`, but `updated_at` proves that it was."""
        assert await self.reboot_and_wait(server, shown(updated_at=updated_at)) == 1

    async def test_the_actions_own_wait_takes_the_same_proof(self, server):
        """W2: `action.wait` ends at the first poll that proves it."""
        accept(server, "reboot", date=DATE)
        tell(server, shown(updated_at=BEFORE), shown(updated_at=BEFORE), shown(updated_at=AFTER))

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.get(7)
            action = await client.servers.reboot(7)
            await action.wait()

        assert made_polls(server) == 3

    @pytest.mark.parametrize(
        ("updated_at", "date", "before"),
        [
            pytest.param("2025-10-15T11:59:57Z", DATE, BEFORE, id="renamed by somebody before the command"),
            pytest.param(AFTER, None, BEFORE, id="no Date"),
            pytest.param(AFTER, "yesterday", BEFORE, id="Date unreadable"),
            pytest.param(AFTER, DATE, None, id="baseline without updated_at"),
            pytest.param(AFTER, DATE, AFTER, id="as new as the baseline"),
            pytest.param(None, DATE, BEFORE, id="no updated_at"),
        ],
    )
    async def test_anything_less_is_no_proof(self, server, updated_at, date, before):
        """W2: a rename proves nothing, nor does an `updated_at` that cannot be compared."""
        with pytest.raises(WaitTimeoutError) as caught:
            await self.reboot_and_wait(server, shown(updated_at=updated_at), date=date, before=before, timeout=0.05)

        assert "the reboot that the API accepted 0 s ago never took effect" in str(caught.value)

    async def test_the_grace_ends_it(self, server):
        """W2: when the grace has passed it is taken to be over."""
        policy = PollPolicy(minimum=1, maximum=1, grace=3)

        assert await self.reboot_and_wait(server, shown(updated_at=BEFORE), poll=policy) > 1

    async def test_the_default_grace_is_15_seconds(self, server):
        """W2: where `updated_at` is not there, `action.wait` takes the reboot to be over after 15 seconds."""
        assert 15 <= await self.seconds_until_over(server, updated_at=None) < 17

    async def test_four_graces_while_updated_at_has_not_moved(self, server):
        """W29: at an API that leaves it alone, and whose response said `rebooting`."""
        assert 60 <= await self.seconds_until_over(server, updated_at=BEFORE) < 66

    async def seconds_until_over(self, server, *, updated_at):
        """Reboot a server that goes on to be shown as it was; return how long `action.wait` takes."""
        accept(server, "reboot")
        tell(server, shown(updated_at=updated_at))
        clock = SkippingClock()
        async with skipping_client_of(server, clock) as client:
            action = await (await client.servers.get(7)).reboot()
            await action.wait()
        return sum(clock.slept)

    async def test_without_a_baseline_it_is_no_proof(self, server):
        """W2: nobody knows how old `updated_at` was before the command."""
        accept(server, "reboot", date=DATE)
        tell(server, shown(updated_at=AFTER))

        async with client_of(server) as client:
            await client.servers.reboot(7)
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(7, status="active", poll=POLL, timeout=0.05)

    @pytest.mark.parametrize("status", ["starting", "provisioning", "stopped", "migrating"])
    async def test_what_was_seen_on_its_way_is_no_baseline(self, server, status):
        """W2: getting to `active` moved `updated_at`, and a replica that lags shows that just after the command."""
        accept(server, "reboot", date=DATE)
        tell(server, shown(status, updated_at=BEFORE), shown(updated_at=AFTER))

        async with client_of(server) as client:
            await client.servers.get(7)
            await client.servers.reboot(7)
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(7, status="active", poll=POLL, timeout=0.05)

    @pytest.mark.parametrize("change", ["update", "replace"])
    async def test_a_change_of_ours_in_between_spoils_the_baseline(self, server, change):
        """W2: a rename by this client counts as little as one by somebody else."""
        accept(server, "reboot", date=DATE)
        tell(server, shown(updated_at=BEFORE), shown(updated_at=AFTER))
        for method in ("PATCH", "PUT"):
            server.answer(method, SEVEN, json(200, detail(updated_at=AFTER)))

        async with client_of(server) as client:
            await client.servers.get(7)
            if change == "update":
                await client.servers.update(7, name="web-02")
            else:
                await client.servers.replace(7, name="web-02", hostname=None, backups_enabled=True)
            await client.servers.reboot(7)
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(7, status="active", poll=POLL, timeout=0.05)

    async def test_a_poll_during_a_change_of_ours_is_no_baseline(self, server):
        """W2: what was read while a rename was on the wire may be from before or after it."""
        accept(server, "reboot", date=DATE)
        tell(server, shown(updated_at=BEFORE), shown(updated_at=AFTER))
        limiter = server.gate()
        server.answer("PATCH", SEVEN, hold(json(200, detail(updated_at=AFTER)), limiter))

        async with client_of(server) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: client.servers.update(7, name="web-02"))
                await server.arrived(1, "PATCH")
                await client.servers.get(7)
                limiter.open()
            await client.servers.reboot(7)
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(7, status="active", poll=POLL, timeout=0.05)

    @pytest.mark.parametrize("way", ["baseline", "observation"])
    async def test_a_list_proves_nothing(self, server, way):
        """W41: it lacks `backups_enabled`, which somebody may have changed."""
        accept(server, "reboot", date=DATE)
        lists = shown_in_list(BEFORE if way == "baseline" else AFTER)
        server.answer("GET", "/servers/", lists)
        tell(server, shown(updated_at=AFTER if way == "baseline" else BEFORE))

        async with client_of(server) as client:
            if way == "baseline":
                await client.servers.list()
            else:
                await client.servers.get(7)
            await client.servers.reboot(7)
            await client.servers.list()
            with pytest.raises(WaitTimeoutError):
                await client.servers.wait_until(7, status="active", poll=POLL, timeout=0.05)

    async def test_a_reading_older_than_one_handed_out_is_dropped(self, server):
        """W2: a poll answered by a replica that lags behind is no poll."""
        accept(server, "stop")
        tell(
            server,
            shown("active", updated_at="2025-10-15T12:00:00Z"),
            shown("stopped", updated_at="2025-10-15T11:00:00Z"),
            shown("stopping", updated_at="2025-10-15T12:00:01Z"),
            shown("active", updated_at="2025-10-15T12:00:00Z"),
            shown("stopped", updated_at="2025-10-15T12:00:02Z"),
        )

        async with client_of(server) as client:
            await client.servers.get(7)
            await client.servers.stop(7)
            await client.servers.wait_until(7, status="stopped", poll=POLL)

        assert made_polls(server) == 5


class TestLooksOnTheWire:
    async def test_a_get_from_before_the_command_is_no_proof(self, server):
        """W3: an observation whose request began before the command was answered is for nobody who waits for it."""
        limiter = server.gate()
        accept(server, "stop")
        server.answer(
            "GET", SEVEN, [hold(shown("stopped"), limiter), shown("active"), shown("stopping"), shown("stopped")]
        )

        async with client_of(server) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.servers.get, 7)
                await server.arrived(1, "GET")
                await client.servers.stop(7)
                limiter.open()
            await client.servers.wait_until(7, status="stopped", poll=POLL)

        assert made_polls(server) == 4

    async def test_a_wait_begun_while_the_command_is_on_the_wire_is_not_fooled(self, server):
        """W3: what it saw before the command was answered does not count."""
        limiter = server.gate()
        server.answer("POST", f"{SEVEN}reboot/", hold(json(200, action(status="rebooting")), limiter))
        tell(server, "active", "active", hold(shown("active"), limiter), "active", "rebooting", "active")

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.reboot, 7)
            await server.arrived(1, "POST")
            group.start_soon(lambda: client.servers.wait_until(7, status="active", poll=POLL))
            await server.arrived(3, "GET")
            limiter.open()

        assert made_polls(server) == 6

    async def test_the_goal_seen_before_the_command_was_answered_is_no_proof(self, server):
        """W3: an `active` from before the start was accepted is from before the start."""
        limiter = server.gate()
        server.answer("POST", f"{SEVEN}start/", hold(json(200, action(status="starting")), limiter))
        tell(server, "active", hold(shown("active"), limiter), "stopped", "starting", "active")

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.start, 7)
            await server.arrived(1, "POST")
            group.start_soon(lambda: client.servers.wait_until(7, status="active", poll=POLL))
            await server.arrived(2, "GET")
            limiter.open()

        assert made_polls(server) == 5

    async def test_a_wait_begun_while_a_command_is_on_the_wire_that_is_refused(self, server):
        """W3: it goes on without that command."""
        limiter = server.gate()
        server.answer("POST", f"{SEVEN}reboot/", hold(json(400, {"error": "no"}), limiter))
        tell(server, "active", "active")

        async def reboot():
            with pytest.raises(StateConflictError):
                await client.servers.reboot(7)

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(reboot)
            await server.arrived(1, "POST")
            group.start_soon(lambda: client.servers.wait_until(7, status="active", poll=POLL))
            await server.arrived(2, "GET")
            limiter.open()

        # The poll on the wire then may be the one that counts: nothing was changed while it was.
        assert made_polls(server) in (2, 3)

    async def test_the_poll_of_a_running_wait_is_no_proof_for_the_commands_wait(self, server):
        """W3: the poll was on the wire when the command was sent; whoever waits for the command polls again."""
        limiter = server.gate()
        accept(server, "reboot")
        tell(server, hold(shown("active"), limiter), "active", "rebooting", "active")

        async with client_of(server) as client, anyio.create_task_group() as group:
            group.start_soon(lambda: client.servers.wait_until(7, status="active", poll=POLL))
            await server.arrived(1, "GET")
            await client.servers.reboot(7)
            limiter.open()
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 4


class TestStartAndStop:
    @pytest.mark.parametrize(
        ("command", "told"),
        [
            ("start", ("stopped", "stopped", "starting", "active")),
            ("stop", ("active", "active", "stopping", "stopped")),
        ],
    )
    @pytest.mark.parametrize("way", ["wait_until", "action"])
    async def test_a_replica_that_lags_does_not_fail_it(self, server, command, told, way):
        """W4: polls that still show the status from before are neither success nor failure."""
        accept(server, command)
        before, goal = told[0], told[-1]
        tell(server, *told)

        async with skipping_client_of(server, SkippingClock()) as client:
            action = await getattr(client.servers, command)(7)
            if way == "action":
                seen = await action.wait()
            else:
                seen = await client.servers.wait_until(7, status=goal, fail_on=[before], poll=POLL)

        assert (seen.status, made_polls(server)) == (goal, 4)

    async def test_the_goal_alone_is_proof(self, server):
        """W4: nobody need have seen `starting`."""
        accept(server, "start")
        tell(server, "stopped", "active")

        async with client_of(server) as client:
            await client.servers.start(7)
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 2

    @pytest.mark.parametrize(
        ("command", "told"),
        [("start", ("stopping", "stopped", "starting", "active")), ("stop", ("rebooting", "active", "stopped"))],
    )
    async def test_a_lag_of_two_commands_does_not_fail_it(self, server, command, told):
        """W4: the end of the transition before the command is not where the command's own ended."""
        accept(server, command)
        tell(server, *told)

        async with client_of(server) as client:
            await getattr(client.servers, command)(7)
            await client.servers.wait_until(7, status=told[-1], poll=POLL)

        assert made_polls(server) == len(told)

    async def test_its_own_transition_that_ends_where_it_began_fails_it(self, server):
        """W5: a server that was `starting` and is `stopped` again will not be `active`."""
        accept(server, "start")
        tell(server, "stopped", "starting", "stopped")

        async with client_of(server) as client:
            await client.servers.start(7)
            with pytest.raises(UnexpectedStatusError) as caught:
                await client.servers.wait_until(7, status="active", poll=POLL)

        assert str(caught.value) == (
            "server 7 will not become active: it was starting and is now stopped (seen: stopped -> starting -> stopped)"
        )

    async def test_a_stop_that_never_takes_effect_is_named(self, server):
        """W27: the command that never took effect is named."""
        accept(server, "stop")
        tell(server, "active")

        async with skipping_client_of(server, SkippingClock()) as client:
            await client.servers.stop(7)
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="stopped", timeout=0.05, poll=POLL)

        assert str(caught.value) == (
            "server 7 did not become stopped within 0.05 s: it was last seen active, for 0 s; "
            "the stop that the API accepted 0 s ago never took effect"
        )

    @pytest.mark.parametrize(("command", "held"), [("start", "stopped"), ("stop", "active")])
    async def test_the_actions_own_wait_names_it_after_its_15_minutes(self, server, command, held):
        """W27: no grace makes the status from before a start or stop the end of it."""
        accept(server, command)
        tell(server, held)
        clock = SkippingClock()

        async with skipping_client_of(server, clock) as client:
            action = await getattr(client.servers, command)(7)
            with pytest.raises(WaitTimeoutError) as caught:
                await action.wait()

        assert f"the {command} that the API accepted 900 s ago never took effect" in str(caught.value)
        assert f"last seen {held}, for 900 s" in str(caught.value)
        assert sum(clock.slept) == pytest.approx(900, abs=60)  # the polls take real time of it

    async def test_a_stop_whose_answer_was_lost_is_named_as_such(self, server):
        """W27: nobody knows that the API accepted it."""
        server.answer("POST", f"{SEVEN}stop/", drop())
        tell(server, "active")

        async with skipping_client_of(server, SkippingClock(), retry=RetryPolicy.none()) as client:
            with pytest.raises(APIConnectionError) as lost:
                await client.servers.stop(7)
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(7, status="stopped", timeout=0.05, poll=POLL)

        assert lost.value.sent
        assert str(caught.value).endswith("; the stop whose response was lost 0 s ago never took effect")

    async def test_a_lost_start_that_never_was_does_not_hide_the_status_for_ever(self, server):
        """W15: after the grace, `stopped` is `stopped`: the lost start was not carried out."""
        server.answer("POST", f"{SEVEN}start/", drop())
        tell(server, "stopped")
        policy = PollPolicy(minimum=0.1, maximum=0.1, grace=0.05)

        async with client_of(server, retry=RetryPolicy.none()) as client:
            with pytest.raises(APIConnectionError):
                await client.servers.start(7)
            seen = await client.servers.wait_until(7, status="stopped", poll=policy)

        assert seen.status == "stopped"

    async def test_a_lost_start_that_a_poll_settled_as_refused_is_not_waited_for(self, server):
        """W15: a 400 to the repeat and a poll at the server: it was not carried out."""
        server.answer("POST", f"{SEVEN}start/", [drop(), json(400, {"error": "not stopped"})])
        tell(server, "stopped")

        async with client_of(server) as client:
            with pytest.raises(StateConflictError):
                await client.servers.start(7)
            before = made_polls(server)
            await client.servers.wait_until(7, status="stopped", poll=POLL)

        assert made_polls(server) - before == 1

    async def test_a_lost_stop_that_a_poll_settled_as_done_is_over_at_the_first_poll(self, server):
        """W15: what settled it is proof for the wait too."""
        server.answer("POST", f"{SEVEN}stop/", [drop(), json(400, {"error": "not active"})])
        tell(server, "stopping", "stopped")

        async with client_of(server) as client:
            action = await client.servers.stop(7)
            await action.wait(timeout=0)

        assert made_polls(server) == 2


class TestSecondReboot:
    async def test_the_first_wait_ends_when_the_server_is_back_from_either(self, server):
        """W25: a second reboot while the first one's wait runs makes no error and no hang."""
        limiter = server.gate()
        accept(server, "reboot", date=DATE)
        tell(
            server,
            shown(updated_at=BEFORE),
            hold(shown("rebooting"), limiter),
            "rebooting",
            "rebooting",
            shown("active", updated_at=AFTER),
        )
        done = []

        async def wait_for(action):
            done.append(await client.servers.wait_until(action.server.id, status="active", poll=POLL, timeout=10))

        async with client_of(server) as client:
            await client.servers.get(7)
            async with anyio.create_task_group() as group:
                group.start_soon(wait_for, await client.servers.reboot(7))
                await server.arrived(2, "GET")
                group.start_soon(wait_for, await client.servers.reboot(7))
                limiter.open()

        assert [seen.status for seen in done] == ["active", "active"]

    async def test_a_second_reboot_that_nobody_saw_does_not_hold_up_the_first_wait(self, server):
        """W25: back from the first is back, whatever was sent since."""
        limiter = server.gate()
        accept(server, "reboot")
        tell(server, "rebooting", hold(shown("active"), limiter))

        async with skipping_client_of(server, SkippingClock()) as client:
            first = await client.servers.reboot(7)
            async with anyio.create_task_group() as group:
                group.start_soon(first.wait)
                await server.arrived(2, "GET")
                await client.servers.reboot(7)
                limiter.open()

        assert made_polls(server) == 2

    async def test_two_reboots_in_quick_succession_wait_for_the_last(self, server):
        """W25: a wait that begins after the second waits for the second."""
        accept(server, "reboot")
        tell(server, "rebooting", "active", "active", "rebooting", "active")

        async with client_of(server) as client:
            await client.servers.reboot(7)
            await client.servers.wait_until(7, status="active", poll=POLL)
            await client.servers.reboot(7)
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 5

    async def test_reboots_that_cross_on_the_wire(self, server):
        """W25: of two on the wire at once, the wait is for the one that was answered last."""
        gates = [server.gate(), server.gate()]
        answer = json(200, action(status="rebooting"))
        second = hold(after(gates[0].open, answer), gates[1])
        server.answer("POST", f"{SEVEN}reboot/", [hold(answer, gates[0]), second])
        tell(server, "active", "rebooting", "active")

        async with client_of(server) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.servers.reboot, 7)
                await server.arrived(1, "POST")
                group.start_soon(client.servers.reboot, 7)
                await server.arrived(2, "POST")
                gates[1].open()
            await client.servers.wait_until(7, status="active", poll=POLL)

        assert made_polls(server) == 3
