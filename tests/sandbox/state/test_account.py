"""The account: whatever the commands, the documented table allows its history."""

from __future__ import annotations

import itertools

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async.sandbox._state.account import SECONDS, STATUSES, TRANSITIONS, Account, Event
from vpsorg_async.sandbox._state.refusals import Refused


SPEC = {
    "name": "a",
    "hostname": None,
    "location": "us-west",
    "plan_id": 1,
    "os_id": 5,
    "ssh_key_id": None,
    "backups_enabled": False,
}
DOCUMENTED = {
    ("create", None, "provisioning", "active"),
    ("start", "stopped", "starting", "active"),
    ("stop", "active", "stopping", "stopped"),
    ("reboot", "active", "rebooting", "active"),
}
ALLOWED = {(move[0], move[1]) for _, *steps in DOCUMENTED for move in itertools.pairwise(steps)}

step = st.tuples(
    st.floats(0, 400),
    st.sampled_from(["create", "start", "stop", "reboot", "change", "resize", "delete"]),
    st.integers(0, 2),
)
steps = st.lists(step, max_size=40)
plans = st.tuples(st.floats(0, 400), st.sampled_from([*STATUSES, "migrating"]), st.integers(0, 2))


def play(account, played):
    """Execute the steps; return the time, each server's statuses in order, and the refusals."""
    now, seen, refused = 0.0, {}, []

    def observe(moment):
        for server in account.servers(moment):
            history = seen.setdefault(server.id, [None])
            if history[-1] != server.status:
                history.append(server.status)

    for pause, name, which in played:
        ends = [server.ends_at for server in account.servers(now) if server.ends_at is not None]
        for moment in sorted(end for end in ends if end <= now + pause):
            observe(moment)
        now += pause
        observe(now)
        try:
            do(account, name, which, now)
        except Refused as refusal:
            refused.append((name, refusal.status))
        observe(now)
    return now, seen, refused


def do(account, name, which, now):
    if name == "create":
        account.create(SPEC, now)
        return
    server = account.server(str(12345 + which), now)
    match name:
        case "change":
            account.change(server, {"name": "b"}, now)
        case "resize":
            account.resize(server, 2, now)
        case "delete":
            account.delete(server, now)
        case status if status in {*STATUSES, "migrating"}:
            account.set_status(server, status, now, after=45.0)
        case command:
            account.command(server, command, now)


class TestHistory:
    @given(steps, st.integers())
    def test_only_documented_transitions_happen(self, played, seed):
        """X5: this holds for any commands at any times and any seed."""
        _, seen, refused = play(Account(seed=seed), played)

        moves = {move for history in seen.values() for move in itertools.pairwise(history)}
        assert moves <= ALLOWED
        assert {status for _, status in refused} <= {400, 404}

    @given(st.lists(plans | step, max_size=40))
    def test_the_log_is_the_account(self, played):
        """A replay gives the same servers, now and later, and the same next id."""
        account = Account(credits=5)
        now, _, _ = play(account, played)
        again = Account(credits=5)
        for event in account.log:
            again.apply(event)

        for later in (now, now + 150, now + 1000):
            assert list(again.servers(later)) == list(account.servers(later))
        assert again.log == account.log
        assert outcome(again, now) == outcome(account, now)

    @given(st.integers(), st.sampled_from(["start", "stop", "reboot"]))
    def test_commands_take_as_long_as_they_should(self, seed, name):
        """The seed decides the durations; the same seed gives the same ones."""
        first, second = Account(seed=seed), Account(seed=seed)
        for account in (first, second):
            server = account.create(SPEC, 0).at(300)
            if name == "start":
                server = account.command(server, "stop", 400).at(500)
            account.command(server, name, 600)

        least, most = SECONDS[name]
        assert least <= first.log[-1].data["seconds"] <= most
        assert 120 <= first.log[0].data["seconds"] <= 300
        assert first.log == second.log


def outcome(account, now):
    try:
        return account.create(SPEC, now)
    except Refused as refused:
        return refused.body


class TestSetStatus:
    def test_it_lasts_until_the_next_one(self):
        """X8: statuses for later are kept in the order of their times; `updated_at` moves with each."""
        account = Account()
        server = account.create(SPEC, 0, ends_in="stopped").at(300)

        account.set_status(server, "migrating", 300, after=20)
        account.set_status(server, "suspended", 300, after=10)
        account.set_status(server, "active", 300, after=20)

        seen = [account.server("12345", now) for now in (309, 310, 319, 320, 10_000)]
        assert [one.status for one in seen] == ["stopped", "suspended", "suspended", "active", "active"]
        assert [one.updated_at for one in seen[1:]] == [310, 310, 320, 320]

    @pytest.mark.parametrize("asked", [[60], [9, 10, 60], [10, 11, 60]])
    def test_a_command_that_is_running_then_is_ended(self, asked):
        """X8: whether somebody asks meanwhile makes no difference; a later command begins from the new status."""
        account = Account()
        server = account.create(SPEC, -300).at(0)
        account.set_status(server, "suspended", 0, after=10)
        account.set_status(server, "stopped", 0, after=70)
        account.command(account.server("12345", 0), "reboot", 0)

        seen = [account.server("12345", now) for now in asked]

        assert [one.status for one in seen] == ["rebooting" if now < 10 else "suspended" for now in asked]
        assert seen[-1].ends_at is None
        assert account.command(account.server("12345", 75), "start", 75).status == "starting"

    def test_the_past_knows_nothing_of_what_is_planned(self):
        account = Account()
        account.set_status(account.create(SPEC, 0), "suspended", 0, after=10)

        past = account.as_of(lambda _: 5)

        assert past.server("12345", 1000).status == "provisioning"


class TestTable:
    def test_it_is_the_documented_one(self):
        """Every transition and every status is documented."""
        assert {(name, *transition) for name, transition in TRANSITIONS.items()} == DOCUMENTED
        assert set(STATUSES) == {status for move in DOCUMENTED for status in move[1:] if status} | {"suspended"}

    def test_every_command_has_a_duration(self):
        """No command ends at once."""
        assert SECONDS.keys() == TRANSITIONS.keys()

    @pytest.mark.parametrize("status", [status for status in STATUSES if status not in {"active", "stopped"}])
    @pytest.mark.parametrize("name", ["start", "stop", "reboot"])
    def test_every_other_command_is_refused(self, status, name):
        """X4: the server is in a transition, or suspended."""
        account = Account()
        server = account.create(SPEC, 0, ends_in=status).at(300)

        with pytest.raises(Refused) as caught:
            account.command(server, name, 300)

        assert (caught.value.status, caught.value.body) == (400, {"detail": f"Server is {status}."})


def test_an_event_that_never_was_is_refused():
    with pytest.raises(ValueError) as caught:
        Account().apply(Event(0, "renamed", 1))

    assert str(caught.value) == "unknown kind of event: 'renamed'"
