"""Hands out what a list has shown, a part at a time, so that other tasks get their turn in between."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from .admission import newer
from .subscribers import WatchPlace


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from .._page_plan import PageRead
    from .delivery import Delivery
    from .entry import Poll
    from .lifecycle import Observation
    from .subscribers import Subscription

AT_ONCE = 200
"""So many servers are handed out in one part, or so many changes told (assumed: at most some 5 ms)."""

NO_STATUS = ""
"""The status of a server whose response gave no string as its status."""


class ListDelivery:
    """Hands out what the pages of one list have shown, and then how the list has ended.

    If the task that does so is cancelled, another one goes on with the next part: nothing is handed out twice.

    Attributes:
        shown: the ids of the servers that were shown so far, of those that somebody wants.
        doubtful: those of them that a GET has called gone, as a list may lag behind, and those that the list gives no
            status of. They are asked for by a GET.
        ending: whether it is known how the list has ended.
        failure: how the list has failed; `None` if it has not.
    """

    def __init__(self, poll: Poll, delivery: Delivery, tell: Callable[[Subscription], None]) -> None:
        self.shown: set[str] = set()
        self.doubtful: set[str] = set()
        self.ending = False
        self.failure: Exception | None = None
        self._poll = poll
        self._delivery = delivery
        self._tell = tell
        # What is still to be handed out, in this order: pages, servers on them, watches, and how the list has ended.
        self._pages: deque[PageRead] = deque()
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._watches: OrderedDict[WatchPlace, None] = OrderedDict()
        self._concerned: deque[Subscription] | None = None
        self._newest: dict[str, Observation] = {}
        self._to_show_all: Collection[WatchPlace] = ()
        self._passed_over = delivery.passed_over
        # How much was handed out beyond one part, by a single step.
        self._ahead = 0

    def add(self, pages: Iterable[PageRead]) -> None:
        """Let *pages* be handed out."""
        self._pages.extend(pages)

    def end(self, failure: Exception | None) -> None:
        """Let all be told that the list has ended, or how it has failed."""
        self.ending, self.failure = True, failure

    def hand_out(self) -> bool:
        """Hand out the next part. Return whether there is more, for which other tasks wait no longer than for one."""
        self._ahead = max(0, self._ahead - AT_ONCE)
        self._to_show_all = self._delivery.watches_to_show_all()
        while self._ahead < AT_ONCE:
            step = self._next_step()
            if step is None:
                return False
            self._ahead += step()
        return self._next_step() is not None

    def abandon(self) -> None:
        """Tell the watches what they were shown already: nobody goes on with this list."""
        while self._watches:
            self._tell_next_watch()

    def _next_step(self) -> Callable[[], int] | None:
        """Return what is to be done next. It returns how much that was, at least 1."""
        if self._pages:
            return self._take_page
        if self._keys:
            return self._hand_out_server
        if self._watches:
            return self._tell_next_watch
        if self.ending and self._concerned is None:
            self._concerned = deque(self._delivery.concerned_by_list(self._poll, self.failure))
        return self._tell_end if self._concerned else None

    def _take_page(self) -> int:
        """Keep one observation of each server. One that moved between two pages is shown twice: the newer counts."""
        page = self._pages.popleft()
        for key, shown in self._delivery.observations(self._poll, page):
            before = self._newest.get(key)
            self._newest[key] = newest = shown if before is None else newer(before, shown)
            if before is None:
                self.shown.update(self._delivery.spellings(key))
            if newest is not before:
                self._keys[key] = None
        return max(1, len(page.servers))

    def _hand_out_server(self) -> int:
        key, _ = self._keys.popitem(last=False)
        observation, is_gone = self._newest[key], self._delivery.is_gone(key)
        if is_gone or observation.status == NO_STATUS:
            self.doubtful.update(self._delivery.spellings(key))
        if is_gone:
            return 1
        count, watches = self._delivery.observed_in_list(self._poll, key, observation, self._to_show_all)
        # A watch is told once of all that it was shown: waking its task takes longer than showing it a server.
        self._watches.update(dict.fromkeys(watches))
        return max(1, count)

    def _tell_next_watch(self) -> int:
        one, _ = self._watches.popitem(last=False)
        self._tell(one)
        return max(1, one.subscriber.size)

    def _tell_end(self) -> int:
        assert self._concerned is not None
        one = self._concerned.popleft()
        self._delivery.list_ended(self._poll, one, self.failure, self.shown, self.doubtful)
        if self.failure is None and isinstance(one, WatchPlace) and one.passed_over <= self._passed_over:
            one.current = True
        return 1
