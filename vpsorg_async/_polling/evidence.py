"""Keeps what the observations of one server have shown to a wait, and asks what they prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._models import StatusSeen
from .admission import Mark
from .habits import NONE_SEEN
from .judge import Done, KeepWaiting, Run, judge, keep
from .stamps import is_older


if TYPE_CHECKING:
    from .._models import Server
    from .command_log import Change
    from .habits import Habits
    from .judge import Failed, Verdict
    from .lifecycle import Command, Goal, Observation


@attrs.define(eq=False, repr=False)
class Evidence:
    """The observations and conclusions of a wait about its server.

    Attributes:
        goal: the goal of the wait.
        change: the command whose effect is waited for. Its request may still be running.
        habits: what the client knows of the API's `updated_at`.
        last: the server as it was last observed.
        held_back: the last observation, if it was not believed.
        observations: in the order of the polls. Of observations with the same status in a row, the last is kept.
        history: every change of the status.
        doubt: why the goal is out of reach if observations go on to say so.
        mark: the newest `updated_at` that the wait believes in, once an older one has come.
    """

    goal: Goal
    change: Change | None = None
    habits: Habits = NONE_SEEN
    last: Server | None = attrs.field(default=None, init=False)
    held_back: Observation | None = attrs.field(default=None, init=False)
    observations: list[Observation] = attrs.field(factory=list["Observation"], init=False)
    history: list[StatusSeen] = attrs.field(factory=list[StatusSeen], init=False)
    doubt: Failed | None = attrs.field(default=None, init=False)
    mark: Mark | None = attrs.field(default=None, init=False)
    # Observations that are held back, in the order of the polls, as those above.
    _suspects: list[Observation] = attrs.field(factory=list["Observation"], init=False)
    # When the last observation had ended that was held back, and showed the server in its reboot all the same.
    _rebooting: float | None = attrs.field(default=None, init=False)
    # When the first suspect of several had come that showed the status that is believed; `None`: the last did not.
    _agreeing: float | None = attrs.field(default=None, init=False)
    # Whether the status has changed since the last verdict.
    _unjudged: bool = attrs.field(default=False, init=False)
    # Of the last status.
    _run: Run = attrs.field(default=Run(0.0, 0.0), init=False)

    @property
    def command(self) -> Command | None:
        """The command that counts for the wait, if any."""
        return None if self.change is None else self.change.command

    def take(self, observation: Observation) -> bool:
        """Keep *observation* if it is believed, and return whether it may change the verdict."""
        suspect = self.mark is not None or observation.suspicion is not None
        if suspect and not self._believes(observation) and not self._agrees(observation):
            self.held_back = observation
            keep(self._suspects, observation)
            self._note_transition(observation)
            return False
        self.held_back = None
        # Those that were held back for the same reason have shown the truth, too.
        for earlier in self._take_suspects():
            self._add(earlier)
        self._add(observation)
        news, self._unjudged = self._unjudged, False
        # Without a command, only the statuses decide.
        return news or self.change is not None or self.doubt is not None

    def _add(self, observation: Observation) -> None:
        """Keep an observation that is believed."""
        if not self.observations or self.observations[-1].status != observation.status:
            self._run = Run(observation.began, observation.ended)
            self._unjudged, self._agreeing = True, None
        keep(self.observations, observation)
        if observation.status is not None:
            self.last = observation.server

    def _take_suspects(self) -> list[Observation]:
        suspects, self._suspects = self._suspects, []
        return suspects

    def _believes(self, observation: Observation) -> bool:
        """Return whether an observation is no more suspect by the grace of this wait, which counts by itself."""
        server, suspicion, mark = observation.server, observation.suspicion, self.mark
        if server is None or server.updated_at is None:
            # It says nothing of those that were held back.
            self._suspects.clear()
            return True
        if suspicion is not None:
            if mark is None or (is_older(mark.newest, suspicion.newest) and not mark.has_overruled(suspicion.newest)):
                suspects = Mark(server.updated_at, observation.ended)
                mark = self.mark = Mark(suspicion.newest, since=suspicion.since, next=suspects)
            elif mark.since is not None and mark.newest == suspicion.newest:
                # Another call of the client has seen a newer one in between.
                mark.since = max(mark.since, suspicion.since)
        if mark is None:
            return True
        before = mark.newest
        believed = mark.take(server.updated_at, observation.began, observation.ended, self.goal.grace)
        if not is_older(mark.newest, before):
            if believed:
                # A newer one has come: replicas that lag have shown what was held back.
                self._suspects.clear()
        elif not believed:
            # Of those that were held back, the newest have shown the truth. Replicas that lag have shown the others.
            self._believe_newest(mark)
        return believed

    def _agrees(self, observation: Observation) -> bool:
        """Return whether suspects have shown for the grace what is believed, so that this one may be believed, too.

        A node whose clock is slow tells older times for ever, and what newer ones tell beside it contradicts nothing.
        """
        if not self.observations or self.observations[-1].status != observation.status:
            self._agreeing = None
            return False
        if self._agreeing is None:
            self._agreeing = observation.ended
        if observation.began - self._agreeing < self.goal.grace:
            return False
        # It says nothing of what was held back before.
        self._suspects.clear()
        return True

    def _believe_newest(self, mark: Mark) -> None:
        """Keep those of the suspects that are as new as *mark*, and forget the others."""
        for suspect in self._take_suspects():
            assert suspect.server is not None
            if not is_older(suspect.server.updated_at, mark.newest):
                self._add(suspect)

    def note_status(self, observation: Observation) -> bool:
        """Add the status to the history, and return whether it has changed."""
        status = observation.status
        if status is None or (self.history and self.history[-1].status == status):
            return False
        self.history.append(StatusSeen(status, observation.ended))
        return True

    def _note_transition(self, observation: Observation) -> None:
        """Note that an observation shows a reboot under way, whose `updated_at` is too old.

        No replica lags for longer than the grace. So what comes that long after the answer to the command shows a time
        after it, whatever the clock of the node.
        """
        command = self.command
        if command is None or command.name != "reboot" or observation.status != command.transitional_status:
            return
        if observation.began - command.answered >= self.goal.grace:
            self._rebooting = observation.ended

    def _is_back(self) -> bool:
        """Return whether the last observation shows a time after such a reboot, for the same reason."""
        if self._rebooting is None or not self.observations:
            return False
        return self.observations[-1].began - self._rebooting >= self.goal.grace

    def verdict(self) -> Verdict:
        """Return what the last observation says about the goal."""
        verdict = judge(self.goal, self.command, self.observations, self.habits, run=self._run)
        if isinstance(verdict, KeepWaiting) and self._is_back() and self.observations[-1].status in self.goal.statuses:
            verdict = Done()
        self.doubt = verdict.doubt if isinstance(verdict, KeepWaiting) else None
        return verdict
