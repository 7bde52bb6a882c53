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

from .._errors import APITimeoutError, ClientClosedError, RateLimitError
from .pace import Pace
from .poll_runs import PollRuns
from .schedule import Schedule
from .subscribers import Place, Subscribers, WatchPlace


if TYPE_CHECKING:
    from collections.abc import Callable

    from .._clock import Clock
    from .._events import Events
    from .._lifetime import Lifetime
    from .._models import Server
    from .._pagination import Pager
    from .._request.call import CallOptions, CallState
    from .._request.requester import Requester
    from .command_log import CommandLog
    from .entry import Poll, PollEntry
    from .subscribers import Subscription, Waiter, WaitPlace, Watcher

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds that a task which has news goes on with its GETs: a GET that hangs must not hold up the news (assumed)."""

LIST_PATIENCE = 5.0
"""Seconds without a page after which nobody waits for a list any longer, but asks by GETs (assumed)."""


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
        poll_rate: Callable[[], float | None],
        pause: Callable[[], tuple[float, str]],
        where: Callable[[CallState], str],
    ) -> None:
        self._pager = pager
        self._clock = clock
        self._lifetime = lifetime
        self._options = options.for_polling(None)
        # Returns for how long reads still pause, and the request whose 429 asked for that.
        self._pause = pause
        patience = min(LIST_PATIENCE, (self._options.attempt_timeout or math.inf) / 2)
        self._schedule = Schedule(patience=patience, pace=Pace(limit=poll_rate))
        self._subscribers = Subscribers()
        # The subscriptions whose tasks are in `attend`, by their entries.
        self._attending: dict[PollEntry, Subscription] = {}
        # Invariant: somebody leads while anybody attends who runs no poll.
        self._leader: PollEntry | None = None
        self._runs = PollRuns(
            requester,
            pager,
            clock=clock,
            events=events,
            options=self._options,
            bind=bind,
            command_log=command_log,
            schedule=self._schedule,
            subscribers=self._subscribers,
            attending=self._attending,
            tell=self._tell,
            where=where,
        )

    @property
    def attempt_timeout(self) -> float | None:
        """The seconds that one request of a poll may take."""
        return self._options.attempt_timeout

    @property
    def polls(self) -> int:
        """How many polls have begun so far."""
        return self._runs.begun

    @property
    def subscribed(self) -> tuple[int, int]:
        """The numbers of waits and watches."""
        return self._subscribers.counts

    def follow(self, subscriber: Waiter) -> WaitPlace:
        """Let a wait observe its server from now on, until `unfollow`."""
        subscription = Place(subscriber, self._runs.begun)
        self._subscribers.add(subscription)
        return subscription

    def unfollow(self, subscription: WaitPlace) -> None:
        """Let a wait observe nothing more."""
        self._subscribers.remove(subscription)

    def hasten(self, command: str) -> None:
        """Poll now for all that wait for the end of such a command and were not polled yet: it is over at once."""
        for entry in self._attending:
            if entry.command == command and entry.unpolled:
                entry.hasten(self._clock.now())
                self._schedule.moved(entry)
        self._appoint()

    def watch(self, subscriber: Watcher) -> WatchPlace:
        """Let a watch observe its servers from now on, for as long as somebody holds what is returned."""
        subscription = WatchPlace(subscriber, self._runs.begun)
        self._subscribers.add_watch(subscription)
        return subscription

    def unwatch(self, subscription: WatchPlace) -> None:
        """Let a watch observe nothing more."""
        self._subscribers.remove_watch(subscription)

    async def attend(self, subscription: Subscription) -> None:
        """Return when there is news for the subscriber. Meanwhile its task leads, runs polls or sleeps.

        Raises:
            ClientClosedError: the client is closed.

        Cancellation: another task takes over at once what this one led or ran.
        """
        entry = subscription.entry
        self._attending[entry] = subscription
        self._schedule.join(entry, self._clock.now())
        try:
            self._appoint()
            while not subscription.subscriber.has_news:
                if self._lifetime.closed:
                    raise ClientClosedError("the client is closed", sent=False)
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
        if expired := self._schedule.expired(now):
            polls = {entry: poll for one in self._attending.values() for poll in one.polls for entry in poll.entries}
            for entry in expired:
                subscription = self._attending[entry]
                subscription.subscriber.expire(polling=self._runs.waiting_for(polls[entry]) if entry in polls else "")
                self._tell(subscription)
        self._end_held_up(now)
        for poll in self._schedule.polls(now, self._pager.size):
            self._assign(poll)
        self._appoint()

    def _end_held_up(self, now: float) -> None:
        """End the waits whose time is over before a pause of all reads is: no poll of theirs can come in time."""
        seconds, by = self._pause()
        if seconds <= 0:
            return
        held_up = RateLimitError(f"held up by the pause that the 429 to {by} asked for, for {seconds:.3g} s more")
        held_up.sent = False
        for entry, subscription in [*self._attending.items()]:
            if entry.expires < now + seconds and not entry.awaits:
                subscription.subscriber.pause(held_up, seconds)
                self._tell(subscription)

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
        waited_for = [self._runs.waiting_for(poll) for poll in subscription.polls if not poll.ended]
        self._hand_on_all(subscription)
        if scope.cancelled_caught and not subscription.subscriber.has_news and not self._lifetime.closed:
            subscription.subscriber.expire(polling=waited_for[0] if waited_for else "")

    async def _run_together(self, subscription: Subscription) -> None:
        """Run the subscription's polls. Return when they have ended, or when its patience with slow ones is over."""
        async with anyio.create_task_group() as group:
            subscription.group = group
            if len(subscription.entry.keys or ()) > 1:
                group.start_soon(self._make_way, subscription, group.cancel_scope)
            try:
                await self._run_all(subscription.polls)
            finally:
                subscription.group = None
            # Ends `_lose_patience` and `_make_way`.
            group.cancel_scope.cancel()

    async def _lose_patience(self, subscription: Subscription, scope: anyio.CancelScope) -> None:
        """Stop the polls that are slow while there is news for the subscription: lists on trial, and GETs.

        A GET is stopped once, and again only if it ran into its timeout then. A list on which somebody relies is read
        on.
        """
        while True:
            await self._clock.sleep(PATIENCE)
            slow = [poll for poll in subscription.polls if not poll.ended]
            keys = {poll.key for poll in slow if poll.key is not None}
            owed = (keys - subscription.entry.hanging.keys()) & subscription.hurried
            if not owed and all(poll.key is not None or poll.trial for poll in slow):
                subscription.hurried |= keys
                scope.cancel()
                return

    async def _make_way(self, subscription: Subscription, scope: anyio.CancelScope) -> None:
        """Stop GETs that hang when the next round of a watch is due: they must not hold up the other servers."""
        entry = subscription.entry
        while True:
            await self._clock.sleep(PATIENCE)
            slow = [poll for poll in subscription.polls if not poll.ended]
            if slow and self._clock.now() >= entry.due and all(entry.holds_up(poll.key) for poll in slow):
                scope.cancel()
                return

    async def _run_all(self, polls: list[Poll]) -> None:
        """Run *polls* to their end."""
        if len(polls) == 1:
            await self._runs.run(polls[0])
        else:
            async with anyio.create_task_group() as group:
                for poll in polls:
                    group.start_soon(self._runs.run, poll)

    # Handing on, and telling

    def _hand_on_all(self, subscription: Subscription) -> None:
        """Hand on the polls that the subscription's task has not ended."""
        polls, subscription.polls = subscription.polls, []
        for poll in polls:
            if not poll.ended:
                self._hand_on(poll)
                self._count_stopped(subscription, poll)
        self._schedule.stopped_running(subscription.entry)
        self._appoint()

    def _hand_on(self, poll: Poll) -> None:
        """Hand on a list with the pages that were read. A GET is wanted again by those who waited for it."""
        if poll.key is None and self._schedule.hand_on(poll) is not None:
            self._assign(poll)
            return
        self._runs.forget(poll)
        for entry in poll.entries:
            # Another poll may have put off the next round of a watch: this server is part of the present one.
            if poll.key is None or (entry.keys is not None and len(entry.keys) == 1):
                continue
            if not entry.holds_up(poll.key):
                entry.ask(poll.key, self._clock.now())
            elif self._clock.now() < entry.due:
                # Wanted once more, but it must not put off the next round.
                entry.miss([poll.key])
            else:
                # The next round asks for it.
                entry.shown(poll.key)
        self._schedule.ended(poll)

    def _count_stopped(self, subscription: Subscription, poll: Poll) -> None:
        """Count GETs of a server that hangs as failed ones, although each of them was stopped early."""
        entry, now, limit = subscription.entry, self._clock.now(), self._options.attempt_timeout
        if poll.key is None or limit is None or not entry.holds_up(poll.key) or poll.number < 0:
            return
        if entry.stopped(poll.key, now - poll.began, limit):
            error = APITimeoutError(f"GET /servers/{poll.key}/: no response within {limit:g} s", sent=True)
            subscription.subscriber.fail(poll.key, error, poll.began)

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
