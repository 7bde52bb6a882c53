"""Reboots seen through replicas that lag and clocks that differ: never over too early, and over in the end."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import Server
from vpsorg_async._polling.command_log import CommandLog
from vpsorg_async._polling.evidence import Evidence
from vpsorg_async._polling.judge import Done
from vpsorg_async._polling.lifecycle import Goal, Observation


NOON = dt.datetime(2025, 10, 15, 12, tzinfo=dt.UTC)
GRACE = 15.0
SECOND = dt.timedelta(seconds=1)
# By the client's clock. The other times here count from it.
ACCEPTED = 100.0
# A replica that lags for longer than the grace cannot be told from a clock that has gone back.
LAGS = st.floats(0, 10)
SKEWS = st.floats(-180, 180).map(lambda seconds: round(seconds, 3))


def stamp(seconds):
    return NOON + dt.timedelta(seconds=seconds)


class Reboot:
    """A reboot that begins and ends some time after it was accepted at 0 s. The nodes of the API have own clocks."""

    def __init__(self, begins, takes, skews, said):
        self.ends = begins + takes
        self.states = [(-1e9, "active", stamp(-60 + skews[0])), (begins, "rebooting", stamp(begins + skews[1]))]
        self.states.append((self.ends, "active", stamp(self.ends + skews[2])))
        self.log = CommandLog()
        self.log.habits.moves = True
        self.log.admit(7, self.observation(-10.0, 0.0))
        with self.log.changing(7, ACCEPTED - 0.5, "reboot") as change:
            self.log.changed(change, ACCEPTED, date=stamp(0), said=said)
        self.evidence = Evidence(Goal(statuses=frozenset({"active"})), change, self.log.habits)

    def observation(self, now, lag):
        *_, (_, status, updated_at) = [state for state in self.states if state[0] <= now - lag]
        server = Server(id=7, name="web-01", status=status, updated_at=updated_at)
        return Observation(began=ACCEPTED + now, ended=ACCEPTED + now + 0.1, server=server)

    def is_over(self, now, lag):
        """Let a poll observe the server, and return whether the wait takes the reboot to be over."""
        observation = self.log.admit(7, self.observation(now, lag))
        if observation is None:
            return False
        self.evidence.take(observation)
        return self.evidence.held_back is None and self.evidence.verdict() == Done()


REBOOTS = st.builds(
    Reboot,
    begins=st.floats(0.1, 200),
    takes=st.floats(0.5, 60),
    skews=st.tuples(SKEWS, SKEWS, SKEWS),
    said=st.sampled_from(["rebooting", "active"]),
)


class TestReboots:
    @given(REBOOTS, st.lists(st.tuples(st.floats(0.2, 5), LAGS), min_size=1, max_size=80))
    def test_none_is_over_before_it_has_ended(self, reboot, polls):
        """W28: an observation from before it is never the goal, whatever lags and whatever the clocks say."""
        now = 0.0
        for pause, lag in polls:
            now += pause
            if reboot.is_over(now, lag):
                assert now - lag >= reboot.ends
                break

    @given(REBOOTS, st.lists(st.floats(0.2, 5), min_size=40, max_size=60))
    def test_one_that_polls_go_on_to_show_as_over_is_over(self, reboot, pauses):
        """W28: at the latest a grace and a poll later, if its response said `rebooting`."""
        if reboot.evidence.command.said != "rebooting" or abs(reboot.states[0][2] - reboot.states[2][2]) < SECOND:
            return
        now, over = reboot.ends, False
        while not over and now < reboot.ends + 2 * GRACE + 10:
            now += pauses.pop() if pauses else 1.0
            over = reboot.is_over(now, 0.0)

        assert over
