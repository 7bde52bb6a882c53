"""Lets calls onto the wire: so many at once, each share in its turn, and slower after the API said "too many"."""

from __future__ import annotations

import heapq
import itertools
import math

from typing import TYPE_CHECKING, Any

import anyio
import attrs

from .rate_control import RateControl
from .shared_pauses import Kind, SharedPauses
from .turns import POLLS_BESIDE_CALLS, Share, Turns


if TYPE_CHECKING:
    from .._clock import Clock, Scope

Ticket = tuple[Share, int, Kind]
"""A place in the order of asking: the share, then a running number. It is kept over a call's retries."""


@attrs.define(eq=False, repr=False)
class _Place:
    woken: anyio.Event = attrs.field(factory=anyio.Event)
    # The keeper's sleep until time may let somebody in.
    nap: Scope | None = None
    admitted: bool = False
    # After which its turn comes too late.
    by: float = math.inf
    late: bool = False
    gone: bool = False

    def wake(self) -> None:
        self.woken.set()
        if self.nap is not None:
            self.nap.cancel()


Queue = list[tuple[int, _Place]]


@attrs.define(eq=False, repr=False)
class _Lane:
    """The calls of one kind, which an API may count apart."""

    kind: Kind
    group: _Group
    on_wire: int = 0
    queues: dict[Share, Queue] = attrs.field(factory=lambda: {share: [] for share in Share})
    # When the last pause of this kind is over.
    opens_at: float = -math.inf
    # The request whose 429 asked for it.
    paused_by: str = ""
    # Invariant: somebody waits for the time exactly while somebody waits.
    keeper: _Place | None = None

    def first_of(self, share: Share) -> tuple[int, _Place] | None:
        queue = self.queues[share]
        while queue and queue[0][1].gone:
            heapq.heappop(queue)
        return queue[0] if queue else None

    def appoint(self) -> None:
        """Let somebody who waits keep the time."""
        self.keeper = next((found[1] for share in Share if (found := self.first_of(share)) is not None), None)
        if self.keeper is not None:
            # Made the keeper before it wakes up: if it is cancelled instead, it appoints the next.
            self.keeper.wake()

    def changes_at(self) -> float | None:
        """Return when time alone may let the next one in, or `None` for never."""
        at = self.group.control.changes_at(self.group.on_wire)
        return None if at is None else max(at, self.opens_at)


@attrs.define(eq=False, repr=False)
class _Group:
    """The kinds of calls that the API counts together, as far as is known."""

    control: RateControl
    lanes: list[_Lane] = attrs.field(factory=list[_Lane])
    on_wire: int = 0
    # The places that wait, without those that are gone.
    waiting: int = 0
    turns: Turns = attrs.field(factory=Turns)

    def first(self, now: float) -> _First | None:
        """Return who takes the next turn, of those whose kind is not paused."""
        found = None
        for lane in self.lanes:
            if now < lane.opens_at:
                continue
            for share in Share:
                if (place := lane.first_of(share)) is not None:
                    rank = (self.turns.tag(share), share, place[0])
                    if found is None or rank < found[0]:
                        found = rank, lane
        return None if found is None else _First(found[1], *found[0][1:])

    def others_wait(self) -> bool:
        """Return whether somebody other than a poll waits."""
        return any(lane.first_of(share) for lane in self.lanes for share in Share if share is not Share.POLLS)


@attrs.frozen(eq=False, repr=False)
class _First:
    lane: _Lane
    share: Share
    number: int


class Limiter:
    """Lets at most *size* calls onto the wire. Polls, searches and other calls take turns, each in the order of asking.

    All kinds of calls share one rate, until a 429 to one of them. That kind then has its own, until a 429 to another
    kind says that the API counts all of them together.

    `leave` gives a turn back; the task in which `enter` returned must call it, also where it is cancelled. A task that
    is cancelled while it waits gives its place up in `enter`, and its turn too if it had just been given one. There is
    no background task: one of those that wait, the keeper of its kind, also wakes up when time alone lets the next one
    in.
    """

    def __init__(self, size: int, clock: Clock) -> None:
        self._size = size
        self._clock = clock
        self._groups: list[_Group] = []
        self._lanes: dict[Kind, _Lane] = {}
        group = self._group(RateControl(size))
        for kind in Kind:
            self._lanes[kind] = _Lane(kind, group)
        group.lanes = [*self._lanes.values()]
        # Between groups.
        self._turns = Turns()
        self._pauses = SharedPauses()
        self._on_wire = 0
        # How many turns were given so far.
        self.begun: int = 0
        self._numbers = itertools.count()

    def ticket(self, share: Share = Share.CALLS, kind: Kind = Kind.READ) -> Ticket:
        """Return the next place in the order of asking."""
        return (share, next(self._numbers), kind)

    def opens_at(self, kind: Kind = Kind.READ) -> float:
        """Return when the last pause of calls of *kind* is over, on the client's clock."""
        return self._lanes[kind].opens_at

    def paused_by(self, kind: Kind) -> str:
        """Return the request whose 429 asked for that pause."""
        return self._lanes[kind].paused_by

    def pause_of_reads(self) -> tuple[float, str]:
        """Return for how many seconds reads still pause (0 or less: they do not), and whose 429 asked for that."""
        lane = self._lanes[Kind.READ]
        return lane.opens_at - self._clock.now(), lane.paused_by

    @property
    def on_wire(self) -> int:
        """How many calls have their turn."""
        return self._on_wire

    @property
    def queued(self) -> int:
        """How many calls wait for their turn."""
        return sum(group.waiting for group in tuple(self._groups))

    @property
    def paused_for(self) -> dict[str, float]:
        """For how many seconds the kinds of calls still pause that do."""
        now = self._clock.now()
        return {kind.value: lane.opens_at - now for kind, lane in self._lanes.items() if lane.opens_at > now}

    @property
    def rate(self) -> float | None:
        """The calls a second that the API takes; the least, where it counts some apart. `None`: no limit is known."""
        now = self._clock.now()
        rates = [group.control.rate(now) for group in tuple(self._groups)]
        return min((rate for rate in rates if rate is not None), default=None)

    def poll_rate(self) -> float | None:
        """Return how many polls a second get a turn as things stand; `None`: no limit of the API is known.

        While other calls wait, that is their part of the API's rate, and all of it otherwise.
        """
        group = self._lanes[Kind.READ].group
        rate = group.control.rate(self._clock.now())
        return rate if rate is None or not group.others_wait() else rate * POLLS_BESIDE_CALLS

    async def enter(self, ticket: Ticket, *, by: float = math.inf) -> bool:
        """Return true when it is this ticket's turn; false, without one, once a pause lasts longer than *by*.

        Cancellation: the place, or the turn just given, goes to the next.
        """
        share, number, kind = ticket
        lane = self._lanes[kind]
        if not lane.group.waiting:
            now = self._clock.now()
            if now >= lane.opens_at and self._may_begin(lane.group, now):
                self._begin(lane, now)
                return True
        place = _Place(by=by)
        heapq.heappush(lane.queues[share], (number, place))
        lane.group.waiting += 1
        try:
            self._admit()
            while not place.admitted and not place.late:
                await self._wait(place, lane)
                self._admit()
        except BaseException:
            if place.admitted:
                self.leave(ticket)
            raise
        finally:
            if not place.admitted:
                place.gone = True
                lane.group.waiting -= 1
            if lane.keeper is place:
                lane.appoint()
        return place.admitted

    def leave(self, ticket: Ticket) -> None:
        """Give the turn back; the connection must be free or its socket closed by now."""
        lane = self._lanes[ticket[2]]
        self._on_wire -= 1
        lane.on_wire -= 1
        lane.group.on_wire -= 1
        for group in self._groups:
            if group.waiting:
                self._admit()
                return

    def answered(self, *, began: float = math.inf, kind: Kind = Kind.READ) -> None:
        """Note a response that is no 429, to an attempt that *began* then and has not left yet."""
        group = self._lanes[kind].group
        group.control.answered(self._clock.now(), group.on_wire, began=began, kind=kind)

    def lost(self, *, began: float = math.inf, kind: Kind = Kind.READ) -> None:
        """Note that an attempt that *began* then was sent and not answered: the API may have counted it."""
        self._lanes[kind].group.control.lost(self._clock.now(), began=began, kind=kind)

    def refused(self, pause: float, *, began: float = math.inf, kind: Kind = Kind.READ, by: str = "") -> set[Kind]:
        """Note a 429 to an attempt that *began* then. Return the kinds of calls that its pause concerns.

        *by* is the request in short.
        """
        now = self._clock.now()
        pauses = self._pauses.refused(kind, now, pause)
        group = self._apart(kind) if len(pauses) == 1 else self._together()
        group.control.refused(now, min(pauses.values()), began=began)
        for each, seconds in pauses.items():
            self._pause(self._lanes[each], now + seconds, by)
        for lane in self._lanes.values():
            if lane.keeper is not None:
                lane.keeper.wake()
        return {*pauses}

    def _pause(self, lane: _Lane, until: float, by: str) -> None:
        lane.opens_at = max(lane.opens_at, until)
        lane.paused_by = by
        for queue in lane.queues.values():
            for _, place in queue:
                if place.by < lane.opens_at and not place.admitted and not place.gone:
                    place.late = True
                    place.wake()

    def _apart(self, kind: Kind) -> _Group:
        """Return the group of *kind* alone."""
        lane = self._lanes[kind]
        if len(lane.group.lanes) > 1:
            old = lane.group
            old.lanes.remove(lane)
            waiting = sum(not place.gone for queue in lane.queues.values() for _, place in queue)
            old.on_wire -= lane.on_wire
            old.waiting -= waiting
            lane.group = self._group(old.control.apart(kind), [lane], lane.on_wire, waiting)
        return lane.group

    def _together(self) -> _Group:
        """Return the one group of all kinds."""
        if len(self._groups) > 1:
            whole, *others = self._groups
            whole.control.join(group.control for group in others)
            whole.on_wire, whole.waiting = self._on_wire, sum(group.waiting for group in self._groups)
            whole.lanes, self._groups = [*self._lanes.values()], [whole]
            for lane in whole.lanes:
                lane.group = whole
        return self._groups[0]

    def _group(self, *parts: Any) -> _Group:
        group = _Group(*parts)
        self._groups.append(group)
        return group

    async def _wait(self, place: _Place, lane: _Lane) -> None:
        if lane.keeper is None:
            lane.keeper = place
        changes_at = None
        if lane.keeper is place and self._on_wire < self._size:
            changes_at = lane.changes_at()
        if changes_at is not None:
            # Asleep on the clock, not waiting for an event with a deadline: a clock that jumps goes by its sleepers.
            with self._clock.move_on_after(None) as place.nap:
                await self._clock.sleep(max(0.0, changes_at - self._clock.now()))
            place.nap = None
        else:
            await place.woken.wait()
            if not place.admitted:
                place.woken = anyio.Event()

    def _may_begin(self, group: _Group, now: float) -> bool:
        return self._on_wire < self._size and group.control.may_begin(now, group.on_wire)

    def _begin(self, lane: _Lane, now: float) -> None:
        lane.group.control.begin(now, lane.group.on_wire)
        lane.on_wire += 1
        lane.group.on_wire += 1
        self._on_wire += 1
        self.begun += 1

    def _admit(self) -> None:
        now = self._clock.now()
        while (first := self._first(now)) is not None:
            lane, share = first.lane, first.share
            place = heapq.heappop(lane.queues[share])[1]
            place.admitted = True
            lane.group.waiting -= 1
            lane.group.turns.took(share)
            self._turns.took(share)
            self._begin(lane, now)
            place.wake()
        if self._on_wire < self._size:
            for lane in self._lanes.values():
                if lane.keeper is not None and lane.keeper.nap is None:
                    # A turn is free and only time keeps it from the first: somebody must watch the time.
                    lane.keeper.woken.set()

    def _first(self, now: float) -> _First | None:
        """Return who takes the next turn, of those who may begin."""
        found = [
            first
            for group in self._groups
            if group.waiting and self._may_begin(group, now) and (first := group.first(now)) is not None
        ]
        if not found:
            return None
        return found[0] if len(found) == 1 else min(found, key=self._rank)

    def _rank(self, first: _First) -> tuple[int, Share, int]:
        return (self._turns.tag(first.share), first.share, first.number)
