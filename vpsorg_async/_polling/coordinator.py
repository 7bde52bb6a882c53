"""Runs polls for all waits and watches of a client, and hands out what the polls show.

There is no background task: the tasks of the waits and watches do the work while they wait for news. One of them
*leads*: it keeps the time for all. Some *run* polls: they make the requests. The others sleep until there is news.

Running a poll is apart from waiting for news. News for a task that runs a poll abandons no request. A task that is done
hands a list on to another task between two requests; one that is cancelled, or whose deadline passes, hands it on at
once. The pages that were read stay. Between two awaits, plain functions decide who does what.
"""

from __future__ import annotations

import math

from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.lowlevel

from .. import _endpoints
from .._errors import APIConnectionError, NotFoundError, RateLimitError, VPSError
from .._request.limiter import LONGEST_SHARED_PAUSE
from .delivery import Delivery
from .lifecycle import Observation
from .list_poll import ListPoll
from .schedule import Schedule
from .subscribers import Subscribers, Subscription


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .._clock import Clock
    from .._events import Events
    from .._lifetime import Lifetime
    from .._models import Server
    from .._page_plan import PageRead
    from .._pagination import Pager
    from .._request.call import CallOptions
    from .._request.requester import Requester
    from .command_log import CommandLog
    from .entry import Poll, PollEntry
    from .subscribers import Subscriber

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds that a task which has news goes on with its GETs: a GET that hangs must not hold up the news (assumed)."""

SLICE = 200
"""So many servers are handed out at a time, then other tasks get their turn (assumed: some 5 ms).

They get it by a sleep of 0 s: a clock that jumps takes a task that only yields for one that waits.
"""


class Coordinator:
    """Runs the polls of all subscribers, at about the cost of one.

    A poll is made without retries, at the head of the queue: the next poll is the retry.
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
        self._events = events
        self._lifetime = lifetime
        self._options = options.for_polling(None)
        self._bind = bind
        self._schedule = Schedule()
        self._subscribers = Subscribers()
        self._delivery = Delivery(self._subscribers, command_log, clock=clock, bind=bind, tell=self._tell)
        # The subscriptions whose tasks are in `attend`, by their entries.
        self._attending: dict[PollEntry, Subscription] = {}
        # Invariant: somebody leads while anybody attends who runs no poll.
        self._leader: PollEntry | None = None
        # The number of polls that have begun.
        self._begun = 0
        # The lists that are being read.
        self._lists: dict[Poll, ListPoll] = {}
        # The end of the pause that a 429 to a poll asked for.
        self._paused_until = -math.inf

    @property
    def attempt_timeout(self) -> float | None:
        """The seconds that one request of a poll may take."""
        return self._options.attempt_timeout

    def follow(self, subscriber: Subscriber) -> Subscription:
        """Let a wait observe its server from now on, until `unfollow`."""
        subscription = Subscription(subscriber, self._begun)
        self._subscribers.add(subscription)
        return subscription

    def unfollow(self, subscription: Subscription) -> None:
        """Let a wait observe nothing more."""
        self._subscribers.remove(subscription)

    def watch(self, subscriber: Subscriber) -> Subscription:
        """Let a watch observe its servers from now on, for as long as somebody holds what is returned."""
        subscription = Subscription(subscriber, self._begun)
        self._subscribers.add_watch(subscription)
        return subscription

    async def attend(self, subscription: Subscription) -> None:
        """Return when there is news for the subscriber. Meanwhile its task leads, runs polls or sleeps.

        Raises:
            APIConnectionError: the client is closed.
            Exception: an error of a transport or a hook that is no failure of a request.

        Cancellation: another task takes over at once what this one led or ran.
        """
        entry = subscription.entry
        self._attending[entry] = subscription
        self._schedule.join(entry, self._clock.now())
        try:
            self._appoint()
            while not subscription.subscriber.has_news:
                if self._lifetime.closed:
                    raise APIConnectionError("the client is closed")
                if not entry.attending:
                    # Its news was undone before the task could return: it is to be polled again.
                    self._schedule.join(entry, self._clock.now())
                    self._appoint()
                if subscription.polls:
                    await self._run_polls(subscription)
                else:
                    await self._lead_or_sleep(subscription)
        finally:
            subscription.nap = None
            entry.left = self._clock.now()
            self._schedule.leave(entry)
            del self._attending[entry]
            self._dismiss(entry)
            self._hand_on_all(subscription)

    # Leading and sleeping

    async def _lead_or_sleep(self, subscription: Subscription) -> None:
        """Return when something may have changed for the subscription.

        Cancellation: nothing is kept; `attend` gives up the lead.
        """
        leads = self._leader is subscription.entry
        with self._clock.move_on_after(None) as subscription.nap, self._lifetime.running(subscription.nap):
            if leads:
                await self._sleep_until_due()
            else:
                await anyio.sleep_forever()
        subscription.nap = None
        # A leader that was woken by news of its own leads no more.
        if leads and self._leader is subscription.entry:
            self._start_polls(self._clock.now())

    async def _sleep_until_due(self) -> None:
        now, next_at = self._clock.now(), self._schedule.next_at
        if next_at <= now:
            # Waits that begin at the same time are taken along.
            await anyio.lowlevel.checkpoint()
        elif next_at < math.inf:
            await self._clock.sleep(next_at - now)
        else:
            await anyio.sleep_forever()

    def _start_polls(self, now: float) -> None:
        """Give each poll that is due to the task that runs it."""
        for entry in self._schedule.expired(now):
            subscription = self._attending[entry]
            subscription.subscriber.expire(polling=entry.awaits > 0)
            self._tell(subscription)
        for poll in self._schedule.polls(now, self._pager.size):
            self._assign(poll)
        self._appoint()

    def _assign(self, poll: Poll) -> None:
        if self._leader is poll.runner:
            self._leader = None
        runner = self._attending[poll.runner]
        runner.polls.append(poll)
        runner.wake()

    def _appoint(self) -> None:
        """See to it that somebody leads, and wake the leader to see what has become due."""
        self._leader = self._leader or self._schedule.leader()
        if self._leader is not None:
            self._attending[self._leader].wake()

    def _dismiss(self, entry: PollEntry) -> None:
        if self._leader is entry:
            self._leader = None

    # Running polls

    async def _run_polls(self, subscription: Subscription) -> None:
        """Run the polls that were given to the subscription's task, to their end or to its deadline.

        Cancellation: `attend` hands on the polls that have not ended.
        """
        entry = subscription.entry
        left = max(0.0, entry.expires - self._clock.now()) if entry.expires < math.inf else None
        with self._clock.move_on_after(left) as scope, self._lifetime.running(scope):
            await self._run_together(subscription)
        self._hand_on_all(subscription)
        if scope.cancelled_caught and not subscription.subscriber.has_news and not self._lifetime.closed:
            subscription.subscriber.expire(polling=True)

    async def _run_together(self, subscription: Subscription) -> None:
        """Run the subscription's polls. Return when they have ended, or when its patience with slow GETs is over."""
        troubles: list[Exception] = []
        if any(poll.key is None for poll in subscription.polls):
            await self._run_all(subscription.polls, troubles)
        else:
            async with anyio.create_task_group() as group:
                subscription.group = group
                try:
                    await self._run_all(subscription.polls, troubles)
                finally:
                    subscription.group = None
                # Ends `_lose_patience`.
                group.cancel_scope.cancel()
        # Raised outside of the task group, which would put it into a group of errors.
        if troubles:
            raise troubles[0]

    async def _lose_patience(self, subscription: Subscription, scope: anyio.CancelScope) -> None:
        """Give up the GETs that are slow while there is news for the subscription, each of them at most once."""
        await self._clock.sleep(PATIENCE)
        keys = {poll.key for poll in subscription.polls if poll.key is not None and not poll.ended}
        if not keys & subscription.hurried:
            subscription.hurried |= keys
            scope.cancel()

    async def _run_all(self, polls: list[Poll], troubles: list[Exception]) -> None:
        """Run *polls* to their end. An error that is no failure of a request goes into *troubles*."""

        async def run(poll: Poll) -> None:
            try:
                await self._run(poll)
            except Exception as error:  # noqa: BLE001 - a user's hook may raise anything; raised by `_run_together`
                troubles.append(error)

        if len(polls) == 1:
            await run(polls[0])
        else:
            async with anyio.create_task_group() as group:
                for poll in polls:
                    group.start_soon(run, poll)

    async def _run(self, poll: Poll) -> None:
        """Make the requests of one poll, and hand out what they bring. A successor goes on where another stopped."""
        if poll.number < 0:
            self._begun += 1
            poll.number, poll.began = self._begun, self._clock.now()
        failure: VPSError | None
        if poll.key is not None:
            failure, servers, requests = await self._run_get(poll, poll.key), 1, 1
        else:
            if poll not in self._lists:
                self._lists[poll] = ListPoll(self._pager, self._options, known=self._delivery.known)
            reading = self._lists[poll]
            failure = await self._read_list(poll, reading)
            if failure is None and not reading.ended:
                # `_run_polls` hands it on.
                return
            servers, requests = await self._end_list(poll, reading, failure), max(1, len(reading.pages))
        if isinstance(failure, RateLimitError):
            self._pause_all(failure)
        self._schedule.ended(poll)
        if poll.key is not None and poll.runner in self._attending:
            self._attending[poll.runner].hurried -= {poll.key}
        seconds = self._clock.now() - poll.began
        self._events.emit("poll.ended", servers=servers, requests=requests, seconds=seconds, failed=failure is not None)

    async def _run_get(self, poll: Poll, key: str) -> VPSError | None:
        began = self._clock.now()
        server: Server | None = None
        try:
            result = await self._requester.send(_endpoints.get(key), self._options)
            server = self._bind(result.value)
        except NotFoundError:
            pass
        except VPSError as error:
            poll.ended = True
            self._delivery.failed(poll, key, error)
            return error
        poll.ended = True
        observation = Observation(began=began, ended=self._clock.now(), server=server)
        self._delivery.observed(poll, key, observation)
        return None

    async def _read_list(self, poll: Poll, reading: ListPoll) -> VPSError | None:
        """Read the list to its end, and return how that failed, or `None`.

        A task that has news by then, or is done, stops between two requests if another task is free to go on.

        After a 429 whose pause everybody has time for, reading goes on where it was refused. The servers that were
        read by then are handed out before the pause.
        """
        while not reading.ended:
            failure = await reading.read()
            if failure is not None:
                new = reading.take_new_pages()
                if not (isinstance(failure, RateLimitError) and new and self._have_time_for(failure)):
                    return failure
                await self._hand_out(poll, new)
            if self._attending[poll.runner].subscriber.has_news and self._schedule.leader() is not None:
                break
        return None

    async def _end_list(self, poll: Poll, reading: ListPoll, failure: VPSError | None) -> int:
        """Hand out what a list has shown and how it ended. Return the number of servers that it showed."""
        shown, doubtful = await self._hand_out(poll, reading.pages)
        for subscriptions in slices(self._delivery.concerned_by_list(poll, failure)):
            self._delivery.list_ended(poll, subscriptions, failure, shown, doubtful)
            if subscriptions[SLICE - 1 :]:
                await self._clock.sleep(0)
        del self._lists[poll]
        return len(shown)

    async def _hand_out(self, poll: Poll, pages: Sequence[PageRead]) -> tuple[set[str], set[str]]:
        """Hand out the servers on *pages*. Return the ids of all, and of those that a GET has called gone.

        A list may lag behind. A server that a GET has called gone is asked for before anybody is told that it is back.
        """
        newest = self._delivery.newest(poll, pages)
        doubtful = {key for key in newest if self._delivery.is_gone(key)}
        for keys in slices([key for key in newest if key not in doubtful]):
            for key in keys:
                self._delivery.observed(poll, key, newest[key])
            if keys[SLICE - 1 :]:
                await self._clock.sleep(0)
        return {*newest}, doubtful

    def _have_time_for(self, error: RateLimitError) -> bool:
        until = self._clock.now() + (error.retry_after or 0.0)
        return not any(one.entry.expires < until for one in self._subscribers)

    # Handing on, and telling

    def _hand_on_all(self, subscription: Subscription) -> None:
        """Hand on the polls that the subscription's task has not ended."""
        polls, subscription.polls = subscription.polls, []
        for poll in polls:
            if not poll.ended:
                self._hand_on(poll)
        self._schedule.stopped_running(subscription.entry)
        self._appoint()

    def _hand_on(self, poll: Poll) -> None:
        """Hand on a list with the pages that were read. A GET is wanted again by those who waited for it."""
        if poll.key is None and self._schedule.hand_on(poll) is not None:
            self._assign(poll)
            return
        self._lists.pop(poll, None)
        for entry in poll.entries:
            # Another poll may have put off the next round of a watch: this server is part of the present one.
            if poll.key is not None and (entry.keys is None or len(entry.keys) > 1):
                entry.ask(poll.key, self._clock.now())
        self._schedule.ended(poll)

    def _tell(self, subscription: Subscription) -> None:
        """Wake the task of a subscription that has news; without news, it is due anew."""
        entry = subscription.entry
        if entry.attending and subscription.subscriber.has_news:
            self._schedule.leave(entry)
            self._dismiss(entry)
            subscription.wake()
            if subscription.group is not None and any(not poll.ended for poll in subscription.polls):
                subscription.group.start_soon(self._lose_patience, subscription, subscription.group.cancel_scope)
        else:
            self._schedule.moved(entry)

    def _pause_all(self, error: RateLimitError) -> None:
        """Tell everybody about a 429, because all calls share its pause: nobody waits for what cannot come in time."""
        seconds = min(error.retry_after or 0.0, LONGEST_SHARED_PAUSE)
        until = self._clock.now() + seconds
        if not seconds or until <= self._paused_until:
            return
        self._paused_until = until
        for subscription in [*self._subscribers]:
            subscription.subscriber.pause(error, seconds)
            self._tell(subscription)


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield *items* in slices of at most `SLICE`."""
    return (items[start : start + SLICE] for start in range(0, len(items), SLICE))
