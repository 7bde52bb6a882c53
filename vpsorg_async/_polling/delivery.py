"""Hands out the observations and failures of polls to those who want them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _decoding
from .._checks import checked_key, server_key
from .._error_base import InvalidArgumentError
from .._errors import APITimeoutError
from .._events import logger
from .._page_plan import Choice
from .failures import ends_all_waits
from .lifecycle import Observation
from .sightings import Sightings


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from .._clock import Clock
    from .._decoding import JSON
    from .._events import Events
    from .._models import Server
    from .._page_plan import PageRead
    from .command_log import CommandLog
    from .entry import Poll
    from .subscribers import Subscribers, Subscription, WatchPlace


MOST_WARNINGS = 1000
"""So many ids that cannot be asked for are warned about and remembered (assumed: an API has none, or all)."""


class Delivery:
    """Hands out what polls show. Every observation passes the command log's admission first."""

    def __init__(
        self,
        subscribers: Subscribers,
        command_log: CommandLog,
        *,
        clock: Clock,
        bind: Callable[[Server], Server],
        events: Events,
        tell: Callable[[Subscription], None],
    ) -> None:
        self._subscribers = subscribers
        self._events = events
        self._command_log = command_log
        self._clock = clock
        self._bind = bind
        self._tell = tell
        self._sightings = Sightings()
        # The number of new sightings that a watch was not shown, because it came after the poll began.
        self.passed_over = 0
        # The ids that a warning was given for.
        self._unusable: set[int | str] = set()

    def observed(self, poll: Poll, key: str, observation: Observation) -> None:
        """Hand out what a GET has shown of the server *key* to all that came before *poll* began."""
        believed = self._command_log.admit(key, observation)
        spellings = self.spellings(self._command_log.spellings.key(key))
        self.hand_to_waits(poll, spellings, believed)
        # A watch that waits for this GET is due anew after it, also if it shows nothing new.
        waiting = set(poll.entries)
        served = {one for key in spellings for one in self._subscribers.watches_of(key) if one.entry in waiting}
        for one in self.show_watches(poll, spellings, believed, self.watches_to_show_all() | served):
            self._tell(one)

    def observed_in_list(
        self, poll: Poll, key: str, observation: Observation, to_show_all: Collection[WatchPlace]
    ) -> tuple[int, Collection[WatchPlace]]:
        """Hand out what a list has shown. Return how many it was handed to, and the watches that are to be told so."""
        believed = self._command_log.admit(key, observation)
        spellings = self.spellings(key)
        waits = self.hand_to_waits(poll, spellings, believed)
        watches = self.show_watches(poll, spellings, believed, to_show_all)
        return waits + len(watches), watches

    def hand_to_waits(self, poll: Poll, spellings: Iterable[str], believed: Observation | None) -> int:
        """Hand an observation to all waits for its server. Return their number."""
        now, count, tracer = self._clock.now(), 0, self._events.tracer
        for spelling in spellings:
            for one in self._subscribers.waits_for(spelling, poll.number):
                count += 1
                _note_shown(one, spelling, poll, now)
                if tracer is not None:
                    tracer.served(one.subscriber.number)
                one.subscriber.observe(spelling, believed)
                self._tell(one)
        return count

    def watches_to_show_all(self) -> AbstractSet[WatchPlace]:
        """Return the watches that are to be shown what is not new, too."""
        watches = self._subscribers.watches
        if not watches:
            self._sightings.clear()
        return {one for one in watches if not one.wants_news_only}

    def show_watches(
        self,
        poll: Poll,
        spellings: tuple[str, ...],
        believed: Observation | None,
        to_show_all: Collection[WatchPlace],
    ) -> Collection[WatchPlace]:
        """Show an observation to the watches of its server, and return them. They are not told yet.

        One that shows nothing new is shown only to those of *to_show_all*.
        """
        shown: dict[WatchPlace, None] = {}
        if not any(map(self._subscribers.watched, spellings)):
            return shown
        sighting, is_new = None, False
        if believed is not None and believed.suspicion is None:
            sighting, is_new = self._sightings.take(spellings, believed)
        if not is_new and not to_show_all:
            return shown
        now = self._clock.now()
        for spelling in spellings:
            for one in self._subscribers.watches_of(spelling):
                if one in shown or not (is_new or one in to_show_all):
                    continue
                if one.joined >= poll.number:
                    self._pass_over(one, is_new=is_new)
                    continue
                shown[one] = None
                _note_shown(one, spelling, poll, now)
                one.subscriber.see(spelling, sighting)
        if sighting is not None:
            sighting.settle()
        return shown

    def _pass_over(self, one: WatchPlace, *, is_new: bool) -> None:
        """Do not show a sighting to a watch that came after the poll began. The next list is shown to it in full."""
        if is_new:
            self.passed_over += 1
            one.passed_over, one.current = self.passed_over, False

    def failed(self, poll: Poll, key: str, error: Exception) -> None:
        """Hand out the failure of a GET.

        A subscriber that did not want a poll yet does not lose its patience because of the polls of others.
        """
        now, waiting = self._clock.now(), set(poll.entries)
        for one in self._subscribers.of(key, poll.number):
            if one.entry in waiting or poll.began >= one.entry.early or ends_all_waits(error):
                if _was_served(one, poll):
                    one.entry.polled(poll.began, now)
                one.entry.shown(key)
                if isinstance(error, APITimeoutError):
                    one.entry.hangs(key)
                one.subscriber.fail(key, error, poll.began)
                self._tell(one)

    def concerned_by_list(self, poll: Poll, failure: Exception | None) -> list[Subscription]:
        """Return the subscriptions to tell how a list ended. One that has failed concerns those who wait for it."""
        everybody, waiting = failure is None or ends_all_waits(failure), set(poll.entries)
        return [one for one in self._subscribers.before(poll.number) if everybody or one.entry in waiting]

    def list_ended(
        self,
        poll: Poll,
        one: Subscription,
        failure: Exception | None,
        shown: AbstractSet[str],
        doubtful: AbstractSet[str],
    ) -> None:
        """Tell a subscription how a list ended."""
        if not _was_observed(one, shown, doubtful):
            one.entry.polled(poll.began, self._clock.now())
        one.subscriber.list_ended(failure, poll.began, shown, doubtful)
        self._tell(one)

    def is_gone(self, key: str) -> bool:
        """Whether the last GET of the server *key* said 404."""
        return self._command_log.is_gone(key)

    def observations(self, poll: Poll, page: PageRead) -> Iterator[tuple[str, Observation]]:
        """Yield an observation of each server on *page* that somebody wants who came before *poll* began."""
        for server in page.servers:
            key = self._key_of(server)
            if self._is_wanted(key, poll.number) and self._is_usable(server.id):
                shown = self._bind(server)
                yield key, Observation(began=page.began, ended=page.ended, server=shown, listed=True, date=page.date)

    def _is_wanted(self, key: str, number: int) -> bool:
        spellings = self.spellings(key)
        if len(spellings) == 1:
            return self._subscribers.wants(key, number)
        return any(self._subscribers.wants(one, number) for one in spellings)

    def _key_of(self, server: Server) -> str:
        """Return the key of a server in a list, which may show it by its number and by its UUID."""
        if server.extra:
            self._command_log.learn_ids(server)
        return self._command_log.spellings.key(server.id)

    def spellings(self, key: str) -> tuple[str, ...]:
        """Return every id under which the API shows the server *key*."""
        return self._command_log.spellings.all_of(key)

    def _is_usable(self, server_id: int | str) -> bool:
        """Return whether a server with this id can be asked for. Warn once about each that cannot."""
        if type(server_id) is int and server_id >= 0:
            return True
        try:
            checked_key(server_id)
        except InvalidArgumentError as error:
            if server_id not in self._unusable and len(self._unusable) < MOST_WARNINGS:
                self._unusable.add(server_id)
                logger.warning("a list shows a server that the client cannot ask for, and passes over: %s", error)
            return False
        return True

    def choose(self, items: Sequence[Any]) -> Choice | None:
        """Choose the items of a page that somebody wants: most servers of a long list are nobody's.

        For waits, a server that is as in the last poll, by status and `updated_at`, need not be read again. Watches
        want all of it.
        """
        if self._subscribers.watching_all:
            return None
        waits, spellings = self._subscribers.waits, self._command_log.spellings
        wanted: dict[int, Server | None] = {}
        others: list[str] = []
        for place, item in enumerate(items):
            key = _only_key(item)
            if key is None or key in spellings or self._subscribers.watched(key):
                wanted[place] = None
            elif key in waits:
                last = waits[key][0].subscriber.last
                wanted[place] = last if last is not None and _is_as_before(item, last) else None
            else:
                others.append(key)
        return Choice(wanted, others)


def _only_key(item: JSON) -> str | None:
    """Return the key of a server in a list; `None` if the item has to be read to find out which server it is."""
    if type(item) is not dict or "uuid" in item:
        # An item that shows both ids tells that they are one server.
        return None
    server_id: Any = item.get("id")
    if type(server_id) is int:
        # A third of the time, and nearly all ids are integers.
        return str(server_id)
    return None if _decoding.key(server_id) is None else server_key(server_id)


def _is_as_before(item: Mapping[str, Any], last: Server) -> bool:
    """Return whether an item of a list shows the server as it was last observed."""
    if last.updated_at is None or last.status != item.get("status"):
        return False
    return item.get("updated_at") == _decoding.iso(last.updated_at)


def _note_shown(one: Subscription, key: str, poll: Poll, now: float) -> None:
    """Note in the subscriber's entry that *poll* has brought something about the server *key*."""
    if _was_served(one, poll):
        one.entry.polled(poll.began, now)
    one.entry.shown(key)
    one.entry.responds(key)


def _was_served(one: Subscription, poll: Poll) -> bool:
    """Return whether an observation of one server counts as the round that a subscription was due for.

    A watch of several servers is due again after the round of GETs, and not after GETs for what a list left out.
    """
    keys = one.entry.keys
    if keys is not None and len(keys) == 1:
        return True
    return poll.key is not None and one.entry in poll.entries and one.entry not in poll.missed


def _was_observed(one: Subscription, shown: AbstractSet[str], doubtful: AbstractSet[str]) -> bool:
    """Return whether the list has shown the only server that a subscription wants."""
    keys = one.entry.keys
    if keys is None or len(keys) > 1:
        return False
    (key,) = keys
    return key in shown and key not in doubtful
