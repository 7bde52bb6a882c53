"""The shared look: those who follow servers look for one another, and what one of them reads is handed to all.

There is no background task. Whoever attends *leads*, which is to watch the time; or *carries* looks, which is to make
their requests; or sleeps until there is news. A look is abandoned when its carrier is cancelled, and only then: those
who hung on it are due at once, and another of them carries the next. Who does what is changed in plain functions only,
between two awaits.
"""

from __future__ import annotations

import abc
import itertools
import math
import weakref

from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import anyio.lowlevel
import attrs

from .. import _decoding, _endpoints
from .._errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    VPSError,
)
from .._models import Server
from .._pagination import Listing
from .._request.limiter import LONGEST_SHARED_PAUSE
from .lifecycle import Observation
from .schedule import Look, Schedule, Waiter


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from .._clock import Clock, Scope
    from .._events import Events
    from .._lifetime import Lifetime
    from .._page_plan import PageRead
    from .._pagination import Pager
    from .._request.call import CallOptions
    from .._request.requester import Requester
    from .command_log import CommandLog

_REQUEST_TIMEOUT, _UNAVAILABLE = 408, 503

Outcome: TypeAlias = Observation | VPSError | None
"""What a poll brought of one server: an observation, how it failed, or `None`: one older than one handed out."""


@attrs.define(eq=False, repr=False, kw_only=True)
class Follower(Waiter, abc.ABC):
    """A waiter as the coordinator deals with it: what it hears, and how its task is woken."""

    # The number of the last look begun when it came: that one, and those before it, tell it nothing.
    joined: int = attrs.field(init=False, default=-1)
    # Looks that it has to carry.
    work: list[Look[Follower]] = attrs.field(init=False, factory=list)
    # What its task is inside of while it attends; ended to wake it.
    scope: Scope | None = attrs.field(init=False, default=None)

    @property
    @abc.abstractmethod
    def news(self) -> bool:
        """Whether there is something for its own task to do."""

    @property
    def last(self) -> Server | None:
        """Return the server that it follows as it was last seen, if it follows a single one."""
        return None

    @abc.abstractmethod
    def hear(self, key: str, outcome: Outcome) -> None:
        """Take what a look brought of the server *key*."""

    @abc.abstractmethod
    def expire(self, *, looking: bool) -> None:
        """Note that its time is over, be there a look on the wire or not."""

    @abc.abstractmethod
    def pause(self, error: VPSError, seconds: float) -> None:
        """Note that the API, by *error*, asks not to be called for so many seconds."""

    def wake(self) -> None:
        """Let its task see that something has changed."""
        if self.scope is not None:
            self.scope.cancel()


@attrs.define(eq=False, repr=False, kw_only=True)
class Watcher(Follower):
    """A follower of several servers, or of all, that hears also while it does not attend."""

    @abc.abstractmethod
    def hear_list(self, error: VPSError | None, shown: Collection[str], doubtful: Collection[str]) -> None:
        """Take how a look at the list ended that showed those servers; it asks for what is to be asked by a GET.

        The *doubtful* of them a GET has called gone.
        """

    def follows(self, key: str) -> bool:
        """Whether it wants to hear of the server *key*."""
        return self.keys is None or key in self.keys

    def expire(self, *, looking: bool) -> None:
        """Never: it has no deadline."""


class Coordinator:
    """Looks for all who follow servers, at about the cost of one.

    A look is one try at the head of the queue: the next look is the retry.
    """

    def __init__(
        self,
        requester: Requester,
        pager: Pager,
        *,
        clock: Clock,
        command_log: CommandLog,
        events: Events,
        lifetime: Lifetime,
        options: CallOptions,
        bind: Callable[[Server], Server],
    ) -> None:
        self._requester = requester
        self._pager = pager
        self._clock = clock
        self._command_log = command_log
        self._events = events
        self._lifetime = lifetime
        self._options = options.for_polling(None)
        self._bind = bind
        self._schedule: Schedule[Follower] = Schedule()
        self._followers: dict[str, list[Follower]] = {}
        # Held by whoever iterates: a watcher that nobody iterates any more hears nothing.
        self._watchers: weakref.WeakSet[Watcher] = weakref.WeakSet()
        # Invariant: somebody leads while anybody attends who carries nothing.
        self._leader: Follower | None = None
        # How many looks have begun: their numbers.
        self._begun = 0
        # When the pause is over that a 429 to a look asked for.
        self._paused_until = -math.inf

    @property
    def attempt_timeout(self) -> float | None:
        """Seconds that one try of a look may take."""
        return self._options.attempt_timeout

    def follow(self, follower: Follower) -> None:
        """Let *follower* hear of its servers from now on, until `unfollow`."""
        follower.joined = self._begun
        for key in follower.keys or ():
            self._followers.setdefault(key, []).append(follower)

    def unfollow(self, follower: Follower) -> None:
        """Let *follower* hear nothing more."""
        for key in follower.keys or ():
            self._followers[key].remove(follower)
            if not self._followers[key]:
                del self._followers[key]

    def watch(self, watcher: Watcher) -> None:
        """Let *watcher* hear of its servers from now on, for as long as somebody holds it."""
        watcher.joined = self._begun
        self._watchers.add(watcher)

    async def attend(self, follower: Follower) -> None:
        """Return when there is news for *follower*, who looks for others too while it waits.

        Raises:
            APIConnectionError: the client is closed.
            Exception: what a transport or a hook raised that is no failure of a request.

        Cancellation: what it led or carried goes to a successor, who looks at once.
        """
        self._schedule.sit(follower, self._clock.now())
        try:
            self._appoint()
            while not follower.news:
                if self._lifetime.closed:
                    raise APIConnectionError("the client is closed")
                await self._attend_until_woken(follower)
        finally:
            follower.scope = None
            self._dismiss(follower)
            self._put_down(follower)

    async def _attend_until_woken(self, follower: Follower) -> None:
        """Carry, lead or sleep, whatever falls to *follower*, until that is done or something has changed."""
        carries, leads = bool(follower.work), self._leader is follower
        left = max(0.0, follower.expires - self._clock.now()) if carries and follower.expires < math.inf else None
        with self._clock.move_on_after(left) as follower.scope, self._lifetime.running(follower.scope):
            if carries:
                await self._carry(follower)
            elif leads:
                await self._watch_time()
            else:
                await anyio.sleep_forever()
        scope, follower.scope = follower.scope, None
        if carries:
            self._put_down(follower)
        if carries and scope.cancelled_caught and not follower.news and not self._lifetime.closed:
            follower.expire(looking=True)
        # Woken by news of its own it leads no more.
        if leads and self._leader is follower:
            self._set_going(self._clock.now())

    def _put_down(self, carrier: Follower) -> None:
        """Let *carrier* carry nothing more; those who still hang on what it did not end are due at once."""
        for look in carrier.work:
            for follower in look.waiters:
                # What other looks brought may have put off its next round: this server is part of the present one.
                if look.key is not None and isinstance(follower, Watcher):
                    follower.ask(look.key, self._clock.now())
            self._schedule.let_go(look)
        carrier.work.clear()
        self._schedule.put_down(carrier)
        self._appoint()

    def _dismiss(self, follower: Follower) -> None:
        self._schedule.rise(follower)
        if self._leader is follower:
            self._leader = None

    def _appoint(self) -> None:
        """See to it that somebody leads, and sees what may have become due."""
        self._leader = self._leader or self._schedule.leader()
        if self._leader is not None:
            self._leader.wake()

    async def _watch_time(self) -> None:
        """Return when something may be due. Cancellation: nothing is kept."""
        now, next_at = self._clock.now(), self._schedule.next_at
        if next_at <= now:
            # Whoever begins to wait at the same time is taken along.
            await anyio.lowlevel.checkpoint()
        elif next_at < math.inf:
            await self._clock.sleep(next_at - now)
        else:
            await anyio.sleep_forever()

    def _set_going(self, now: float) -> None:
        for follower in self._schedule.expired(now):
            follower.expire(looking=follower.hanging > 0)
            self._tell(follower)
        for look in self._schedule.looks(now, self._pager.size):
            look.carrier.work.append(look)
            if self._leader is look.carrier:
                self._leader = None
            look.carrier.wake()
        self._appoint()

    async def _carry(self, carrier: Follower) -> None:
        """Do the looks that were given to *carrier*.

        Cancellation: those under way are abandoned, as whoever attends puts down what it carries.
        """
        troubles: list[Exception] = []

        async def do(look: Look[Follower]) -> None:
            try:
                await self._look(look)
            except Exception as error:  # noqa: BLE001 - a hook of the user's may raise anything; raised again below
                troubles.append(error)

        if len(carrier.work) == 1:
            await do(carrier.work[0])
        else:
            async with anyio.create_task_group() as group:
                for look in carrier.work:
                    group.start_soon(do, look)
        if troubles:
            raise troubles[0]

    async def _look(self, look: Look[Follower]) -> None:
        """Make the requests of one look, and hand out what they bring."""
        self._begun += 1
        number, began = self._begun, self._clock.now()
        failure: VPSError | None
        if look.key is None:
            pages, failure = await self._ask_for_all(number, began)
            shown, requests = self._newest(pages, number), max(1, len(pages))
            watchers = [one for one in self._watchers if _concerns(one, failure, began)]
            self._looked(watchers, began)
            self._hand_out_list(shown, failure, number, began, watchers)
            servers = len(shown)
        else:
            outcome = await self._ask_for(look.key)
            failure = outcome if isinstance(outcome, VPSError) else None
            watchers = [one for one in self._following(look.key) if _concerns(one, failure, began)]
            self._looked(look.waiters, began)
            self._hand_out(look.key, outcome, number, began, watchers)
            requests = servers = 1
        if isinstance(failure, RateLimitError):
            self._pause_all(failure)
        self._schedule.let_go(look)
        seconds = self._clock.now() - began
        self._events.emit("poll.ended", servers=servers, requests=requests, seconds=seconds, failed=failure is not None)

    def _looked(self, followers: Iterable[Follower], began: float) -> None:
        """Find the time of the next look of those who follow several; the others' moves with each observation."""
        now = self._clock.now()
        for follower in followers:
            if isinstance(follower, Watcher):
                follower.looked(began, now)

    def _pause_all(self, error: RateLimitError) -> None:
        """Tell all of a 429, as all calls share its pause: nobody waits for what cannot come in time."""
        pause = min(error.retry_after or 0.0, LONGEST_SHARED_PAUSE)
        until = self._clock.now() + pause
        if not pause or until <= self._paused_until:
            return
        self._paused_until = until
        for follower in [*self._everybody()]:
            follower.pause(error, pause)
            self._tell(follower)

    def _everybody(self) -> Iterator[Follower]:
        return itertools.chain(itertools.chain.from_iterable(self._followers.values()), self._watchers)

    async def _ask_for(self, key: str) -> Observation | VPSError:
        began = self._clock.now()
        server: Server | None
        try:
            answer = await self._requester.send(_endpoints.get(key), self._options)
            server = self._bind(answer.value)
        except NotFoundError:
            server = None
        except VPSError as error:
            return error
        return Observation(began=began, ended=self._clock.now(), server=server)

    async def _ask_for_all(self, number: int, began: float) -> tuple[list[PageRead], VPSError | None]:
        """Return the list's pages as far as they could be read, and what went wrong, if anything did.

        After a 429 it goes on where it was refused, as soon as the pause that all calls share is over, if everybody has
        the time; what it has shown by then is handed out before that, as the look *number* that *began* then.
        """
        pages: list[PageRead] = []
        listing = Listing(
            self._pager, {}, self._options, skip_invalid=True, on_page=pages.append, passes=1, known=self._known
        )
        while True:
            read = len(pages)
            try:
                await listing.read_all()
            except RateLimitError as error:
                # A long list would never be read to its end if each 429 sent the next look back to its first page.
                until = self._clock.now() + (error.retry_after or 0.0)
                if len(pages) == read or any(follower.expires < until for follower in self._everybody()):
                    return pages, error
                self._hand_out_shown(self._newest(pages[read:], number), number, began)
            except VPSError as error:
                return pages, error
            else:
                return pages, None

    def _known(self, item: Any) -> Server | None:
        """Return the server that *item* of a list is, if it need not be read: half of the time that a list takes.

        That is one that is as in the last look, by status and `updated_at`; and one that nobody follows, of which the
        id will do. Watchers want all of every server.
        """
        if self._watchers or type(item) is not dict:
            return None
        key = item.get("id")
        followers = self._followers.get(str(key))
        if followers is None:
            return Server(id=key, name="", status="") if key is not None and _decoding.key(key) is not None else None
        last = followers[0].last
        if last is None or last.updated_at is None or last.status != item.get("status"):
            return None
        return last if item.get("updated_at") == _decoding.iso(last.updated_at) else None

    def _newest(self, pages: Iterable[PageRead], number: int) -> dict[str, Observation]:
        """Return one observation of each server that is followed since before the look *number*.

        Of one that moved between two pages it is the newest.
        """
        watched = [watcher.keys for watcher in self._watchers if watcher.joined < number]
        all_wanted = None in watched
        wanted = {key for key, followers in self._followers.items() if followers[0].joined < number}
        wanted.update(*(keys for keys in watched if keys is not None))
        newest: dict[str, Observation] = {}
        for page in pages:
            for server in page.servers:
                key = str(server.id)
                if not all_wanted and key not in wanted:
                    continue
                if key not in newest or not _is_older(server, newest[key].server):
                    newest[key] = Observation(
                        began=page.began, ended=page.ended, server=self._bind(server), listed=True
                    )
        return newest

    def _hand_out_list(
        self,
        shown: dict[str, Observation],
        failure: VPSError | None,
        number: int,
        began: float,
        watchers: Iterable[Watcher],
    ) -> None:
        """Hand out what a list shows. What it does not show has failed with it, or has to be asked for by a GET.

        *watchers* are those who hear how the list itself ended.
        """
        doubtful = self._hand_out_shown(shown, number, began)
        if failure is None or concerns_the_list_alone(failure):
            self._ask_for_the_rest(shown.keys() - doubtful, number)
        else:
            for key in list(self._followers):
                if key not in shown or ends_a_wait(failure):
                    self._hand_out(key, failure, number, began, ())
        for watcher in [one for one in watchers if one.joined < number]:
            watcher.hear_list(failure, shown, doubtful)
            self._tell(watcher)

    def _hand_out_shown(self, shown: dict[str, Observation], number: int, began: float) -> set[str]:
        """Hand out what a list shows but for what a GET called gone, which is returned.

        A list may lag behind: that is asked for before it is there again.
        """
        doubtful = {key for key in shown if self._command_log.is_gone(key)}
        for key, observation in shown.items():
            if key not in doubtful:
                self._hand_out(key, observation, number, began, self._following(key))
        return doubtful

    def _ask_for_the_rest(self, shown: Collection[str], number: int) -> None:
        now = self._clock.now()
        for key, followers in self._followers.items():
            for follower in followers:
                if key not in shown and follower.joined < number:
                    follower.ask(key, now)

    def _following(self, key: str) -> list[Watcher]:
        return [one for one in self._watchers if one.follows(key)] if self._watchers else []

    def _hand_out(
        self, key: str, outcome: Observation | VPSError, number: int, began: float, watchers: Iterable[Watcher]
    ) -> None:
        """Let all who wait for *key*, and *watchers*, hear what the look *number* brought of it.

        They must have come before it began.
        """
        told: Outcome = outcome
        if isinstance(outcome, Observation) and not self._command_log.admit(key, outcome):
            told = None
        now = self._clock.now()
        waiting = self._followers.get(key, [])
        if isinstance(told, VPSError):
            waiting = [one for one in waiting if _concerns(one, told, began)]
        for follower in (*waiting, *watchers):
            if follower.joined >= number:
                continue
            if key in follower.asks:
                follower.asks -= {key}
            if not isinstance(follower, Watcher):
                follower.looked(began, now)
            follower.hear(key, told)
            self._tell(follower)

    def _tell(self, follower: Follower) -> None:
        """Wake *follower* if there is news for it; if not, it is due anew."""
        if follower.ready and follower.news:
            self._dismiss(follower)
            follower.wake()
        else:
            self._schedule.moved(follower)


def _concerns(follower: Follower, failure: VPSError | None, began: float) -> bool:
    """Return whether *follower* is to hear that a look begun at *began* failed, if it did.

    Not one who was patient enough to need no look yet: it does not lose its patience with that of others.
    """
    return failure is None or began >= follower.early or ends_a_wait(failure)


def ends_a_wait(error: VPSError) -> bool:
    """Whether looking again is of no use after *error*."""
    return isinstance(error, (AuthenticationError, PermissionDeniedError, ConfigurationError))


def asked_pause(error: VPSError) -> float | None:
    """Return the seconds for which the API asks not to be called, or `None` if it does not."""
    if isinstance(error, RateLimitError):
        return error.retry_after or 0.0
    if isinstance(error, ServerError) and error.status_code == _UNAVAILABLE:
        return error.retry_after
    return None


def concerns_the_list_alone(error: VPSError) -> bool:
    """Whether a list that failed by *error* says nothing of what a GET would bring."""
    if isinstance(error, APIStatusError):
        refused = not isinstance(error, (ServerError, RateLimitError)) and error.status_code != _REQUEST_TIMEOUT
        return refused and not ends_a_wait(error)
    return isinstance(error, ResponseError)


def _is_older(server: Server, than: Server | None) -> bool:
    if than is None or server.updated_at is None or than.updated_at is None:
        return False
    return server.updated_at < than.updated_at
