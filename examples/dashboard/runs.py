"""Work that goes on after the request that began it: the fleet runs of the app, each by an id."""

from __future__ import annotations

import logging
import secrets

from collections.abc import Callable

import anyio.abc
import attrs

from vpsorg_async import FleetReport, FleetRun, Outcome, Progress

from .sentences import sentence


logger = logging.getLogger(__name__)

ENDED_KEPT = 6
"""The number of ended runs that stay on the page."""


@attrs.define
class KeptRun:
    """A run, and how far it has come."""

    id: int
    action: str
    progress: Progress
    run: FleetRun | None = None
    over: bool = False
    failure: str | None = None

    @property
    def problems(self) -> list[Outcome]:
        """The outcomes that did not succeed, of those that have ended."""
        report: FleetReport | tuple[()] = () if self.run is None else self.run.report
        return [outcome for outcome in report if outcome.error is not None and outcome.ended_at is not None]


class Runs:
    """The runs of this process. Another process does not know them: after a restart the API's servers are the truth."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group
        self._process = secrets.token_hex(4)
        self._changes = 0
        self._kept: dict[int, KeptRun] = {}
        self._last = 0

    @property
    def version(self) -> str:
        """Names this process and the last change that a browser may see."""
        return f"{self._process}-{self._changes}"

    def knows(self, version: str) -> bool:
        """Return whether *version* is one of this process."""
        return version.startswith(f"{self._process}-")

    def newest_first(self) -> list[KeptRun]:
        """Return the runs to show."""
        return list(reversed(self._kept.values()))

    def begin(self, action: str, total: int, make: Callable[[Callable[[Progress], None]], FleetRun]) -> None:
        """Begin the run that *make* makes; it is given the function that follows the run's progress."""
        self._last += 1
        nothing = Progress(total=total, begun=0, succeeded=0, failed=0, pending=0, unknown=0, skipped=0)
        kept = KeptRun(self._last, action, nothing)

        def follow(progress: Progress) -> None:
            kept.progress = progress
            self._changes += 1

        kept.run = make(follow)
        self._kept[kept.id] = kept
        self._changes += 1
        self._group.start_soon(self._finish, kept, kept.run)

    async def _finish(self, kept: KeptRun, run: FleetRun) -> None:
        """Wait for the run. An error of one run ends no other."""
        try:
            report = await run
            kept.failure = None if report.stopped_by is None else sentence(report.stopped_by)
            for outcome in report:
                if outcome.error is not None:
                    logger.warning("%s: %s", report.action, outcome)
        except Exception as error:
            logger.exception("The run of %s has ended", kept.action)
            kept.failure = sentence(error)
        finally:
            kept.over = True
            self._changes += 1
            self._forget_old()

    def _forget_old(self) -> None:
        ended = [kept.id for kept in self._kept.values() if kept.over]
        for old in ended[:-ENDED_KEPT]:
            del self._kept[old]
