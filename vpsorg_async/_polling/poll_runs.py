"""Makes the requests of polls, and hands out what they bring."""

from __future__ import annotations

import math

from typing import TYPE_CHECKING

import attrs

from .. import _endpoints
from .._errors import RateLimitError
from .._request.call import OBSERVER, CallState
from .._request.shared_pauses import LONGEST_SHARED_PAUSE
from .delivery import Delivery
from .failures import ends_all_waits, refuses, requested_pause, says_gone
from .lifecycle import Observation
from .list_delivery import ListDelivery
from .list_poll import ListPoll


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._clock import Clock
    from .._events import Events, PollTrace
    from .._models import Server
    from .._pagination import Pager
    from .._request.call import CallOptions
    from .._request.requester import Requester
    from .command_log import CommandLog
    from .entry import Poll, PollEntry
    from .schedule import Schedule
    from .subscribers import Subscribers, Subscription


_TOO_LATE = "no response came in time"


@attrs.frozen(eq=False, repr=False)
class _List:
    """The list that a poll reads, and what of it was handed out."""

    reading: ListPoll
    delivery: ListDelivery


class PollRuns:
    """Makes the requests of polls, without retries and at the head of the queue: the next poll is the retry.

    Attributes:
        begun: the number of polls that have begun.
    """

    def __init__(
        self,
        requester: Requester,
        pager: Pager,
        *,
        clock: Clock,
        events: Events,
        options: CallOptions,
        bind: Callable[[Server], Server],
        command_log: CommandLog,
        schedule: Schedule,
        subscribers: Subscribers,
        attending: Mapping[PollEntry, Subscription],
        tell: Callable[[Subscription], None],
        where: Callable[[CallState], str],
    ) -> None:
        self._requester = requester
        self._pager = pager
        self._clock = clock
        self._events = events
        self._options = options
        self._bind = bind
        self._schedule = schedule
        self._subscribers = subscribers
        self._attending = attending
        self._tell = tell
        self._where = where
        self._delivery = Delivery(subscribers, command_log, clock=clock, bind=bind, events=events, tell=tell)
        self.begun = 0
        # The lists that are being read.
        self._lists: dict[Poll, _List] = {}
        # What follows the polls that have begun and not ended, if anything does.
        self._traces: dict[Poll, PollTrace] = {}
        # The last call of each poll that has begun and not ended.
        self._calls: dict[Poll, CallState] = {}
        # The end of the pause that a 429 to a poll asked for.
        self._paused_until = -math.inf

    def forget(self, poll: Poll) -> None:
        """Drop a poll that nobody goes on with, and the pages of its list."""
        self._calls.pop(poll, None)
        if poll in self._lists:
            self._lists.pop(poll).delivery.abandon()
        if poll in self._traces:
            self._traces.pop(poll).end(failed=True)

    async def run(self, poll: Poll) -> None:
        """Make the requests of one poll, and hand out what they bring. A successor goes on where another stopped."""
        if poll.number < 0:
            self.begun += 1
            poll.number, poll.began = self.begun, self._clock.now()
            if self._events.tracer is not None:
                self._traces[poll] = self._events.tracer.poll(poll.key)
        trace = self._traces.get(poll)
        if trace is None:
            await self._run(poll)
        else:
            with trace.current():
                await self._run(poll)

    def waiting_for(self, poll: Poll) -> str:
        """Return in words that no response came in time, and what the poll waits for."""
        call = self._calls.get(poll)
        return _TOO_LATE if call is None else f"{call.call.summary}: {_TOO_LATE}{self._where(call)}"

    async def _run(self, poll: Poll) -> None:
        # A poll only reads: no item of a fleet needs to know of it.
        observed = OBSERVER.set(lambda call: self._calls.update({poll: call}))
        try:
            await self._make(poll)
        finally:
            OBSERVER.reset(observed)
        if poll.ended:
            self._calls.pop(poll, None)

    async def _make(self, poll: Poll) -> None:
        failure: Exception | None
        if poll.key is not None:
            failure, servers, requests = await self._run_get(poll, poll.key), 1, 1
        else:
            one = self._list_of(poll)
            if not one.delivery.ending and not await self._read_list(poll, one):
                # The coordinator hands it on.
                return
            await self._hand_out(one.delivery)
            del self._lists[poll]
            failure, servers = one.delivery.failure, len(one.delivery.shown)
            requests = max(1, len(one.reading.pages))
        if isinstance(failure, RateLimitError):
            self._pause_all(failure)
        self._schedule.ended(poll)
        if poll.key is not None and poll.runner in self._attending:
            self._attending[poll.runner].hurried -= {poll.key}
        self._tell_end(poll, servers, requests, failed=failure is not None)

    def _tell_end(self, poll: Poll, servers: int, requests: int, *, failed: bool) -> None:
        self._events.emit(
            "poll.ended",
            poll=poll.number,
            server=poll.key,
            servers=servers,
            requests=requests,
            seconds=self._clock.now() - poll.began,
            failed=failed,
        )
        if poll in self._traces:
            self._traces.pop(poll).end(failed=failed)

    async def _run_get(self, poll: Poll, key: str) -> Exception | None:
        state = CallState(_endpoints.get(key), self._options)
        server, date = None, None
        try:
            result = await self._requester.send(state.call, self._options, state)
            server, date = self._bind(result.value), result.date
        except Exception as error:  # noqa: BLE001 - a user's hook or transport may raise anything: a failed poll
            if not says_gone(error):
                poll.ended = True
                self._delivery.failed(poll, key, error)
                self._note_failed_get(poll, key, error)
                return error
        poll.ended = True
        self._schedule.missing.answered()
        observation = Observation(began=state.began, ended=self._clock.now(), server=server, date=date)
        self._delivery.observed(poll, key, observation)
        return None

    def _note_failed_get(self, poll: Poll, key: str, error: Exception) -> None:
        """Count the failure for all that wait for GETs, if GET after GET fails: the API is down for all of them."""
        missing = self._schedule.missing
        if requested_pause(error) is not None:
            return
        if refuses(error):
            # The API works, and refuses this server.
            missing.answered()
        elif missing.failed(key, poll.began, self._clock.now()):
            for entry, keys in missing.give_up():
                subscription = self._attending[entry]
                subscription.subscriber.fail_alike(keys, error, poll.began)
                self._tell(subscription)

    def _list_of(self, poll: Poll) -> _List:
        if poll not in self._lists:
            reading = ListPoll(self._pager, self._options, choose=self._delivery.choose)
            self._lists[poll] = _List(reading, ListDelivery(poll, self._delivery, self._tell))
        return self._lists[poll]

    async def _read_list(self, poll: Poll, one: _List) -> bool:
        """Read the list, and return whether it has ended or failed, or turned out to be too long.

        A task that has news by then, or is done, stops between two requests if another task is free to go on.

        After a 429 whose pause everybody has time for, reading goes on where it was refused. The servers that were
        read by then are handed out before the pause.
        """
        reading, delivery = one.reading, one.delivery
        while not reading.ended:
            if self._is_too_long(poll, reading):
                # Those whose servers it has not shown are still due, and ask by GETs.
                delivery.add(reading.take_new_pages())
                return True
            pause = 0.0
            failure = await reading.read()
            if failure is not None:
                new = reading.take_new_pages()
                delivery.add(new)
                if not (isinstance(failure, RateLimitError) and new and self._have_time_for(failure)):
                    if requested_pause(failure) is not None and not reading.pages:
                        self._schedule.health.put_off(poll.began, self._clock.now())
                    self._end_list(poll, delivery, failure)
                    return True
                await self._hand_out(delivery)
                pause = failure.retry_after or 0.0
            # A list that waits because the API asked it to does not hang.
            self._schedule.list_goes_on(poll, self._clock.now() + pause)
            if self._attending[poll.runner].subscriber.has_news and self._schedule.leader() is not None:
                return False
        delivery.add(reading.take_new_pages())
        self._end_list(poll, delivery, None)
        return True

    def _is_too_long(self, poll: Poll, reading: ListPoll) -> bool:
        """Whether the first page has told that GETs are cheaper. A list is read to learn that, too."""
        return len(reading.pages) == 1 and not reading.ended and self._schedule.prefers_gets(poll, self._pager.size)

    def _end_list(self, poll: Poll, delivery: ListDelivery, failure: Exception | None) -> None:
        delivery.end(failure)
        self._note_list(poll, failure)

    async def _hand_out(self, delivery: ListDelivery) -> None:
        """Hand out what has come. Other tasks get their turn after each part of it.

        They get it by a sleep of 0 s: a clock that jumps takes a task that only yields for one that waits.
        """
        while delivery.hand_out():
            await self._clock.sleep(0)

    def _note_list(self, poll: Poll, failure: Exception | None) -> None:
        """Learn from how a list ended whether to rely on the next one."""
        if failure is None:
            self._schedule.health.succeeded()
            self._schedule.missing.answered()
        elif requested_pause(failure) is None and not ends_all_waits(failure):
            self._schedule.health.failed(poll.began, self._clock.now(), refused=refuses(failure))
            self._schedule.missing.doubt()

    def _have_time_for(self, error: RateLimitError) -> bool:
        until = self._clock.now() + (error.retry_after or 0.0)
        return not any(one.entry.expires < until for one in self._subscribers)

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
