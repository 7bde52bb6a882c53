"""Hands out the observations and failures of polls to those who want them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _decoding
from .._models import Server
from .admission import newer
from .failures import ends_a_wait
from .lifecycle import Observation


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from .._clock import Clock
    from .._errors import VPSError
    from .._page_plan import PageRead
    from .command_log import CommandLog
    from .entry import Poll
    from .subscribers import Subscribers, Subscription


class Delivery:
    """Hands out what polls show. Every observation passes the command log's admission first."""

    def __init__(
        self,
        subscribers: Subscribers,
        command_log: CommandLog,
        *,
        clock: Clock,
        bind: Callable[[Server], Server],
        tell: Callable[[Subscription], None],
    ) -> None:
        self._subscribers = subscribers
        self._command_log = command_log
        self._clock = clock
        self._bind = bind
        self._tell = tell

    def observed(self, poll: Poll, key: str, observation: Observation) -> None:
        """Hand out an observation of the server *key* to all that came before *poll* began."""
        believed = observation if self._command_log.admit(key, observation) else None
        now = self._clock.now()
        for one in self._subscribers.of(key, poll.number):
            if _was_served(one, poll):
                one.entry.polled(poll.began, now)
            one.entry.shown(key)
            one.subscriber.observe(key, believed)
            self._tell(one)

    def failed(self, poll: Poll, key: str, error: VPSError) -> None:
        """Hand out the failure of a GET."""
        now = self._clock.now()
        for one in self._subscribers.of(key, poll.number):
            if _concerned(one, poll, error):
                if _was_served(one, poll):
                    one.entry.polled(poll.began, now)
                one.entry.shown(key)
                one.subscriber.fail(key, error)
                self._tell(one)

    def concerned_by_list(self, poll: Poll, failure: VPSError | None) -> list[Subscription]:
        """Return the subscriptions to tell how a list ended."""
        return [one for one in self._subscribers.before(poll.number) if _concerned(one, poll, failure)]

    def list_ended(
        self,
        poll: Poll,
        subscriptions: Iterable[Subscription],
        failure: VPSError | None,
        shown: Collection[str],
        doubtful: Collection[str],
    ) -> None:
        """Tell *subscriptions* how a list ended."""
        now = self._clock.now()
        for one in subscriptions:
            if not _was_observed(one, shown, doubtful):
                one.entry.polled(poll.began, now)
            one.subscriber.list_ended(failure, shown, doubtful)
            self._tell(one)

    def is_gone(self, key: str) -> bool:
        """Whether the last GET of the server *key* said 404."""
        return self._command_log.is_gone(key)

    def newest(self, poll: Poll, pages: Sequence[PageRead]) -> dict[str, Observation]:
        """Return one observation of each server on *pages* that somebody wants who came before *poll* began.

        A server that moved between two pages is shown twice; the newer observation counts.
        """
        found: dict[str, Observation] = {}
        for page in pages:
            for server in page.servers:
                key = str(server.id)
                if not self._subscribers.wants(key, poll.number):
                    continue
                shown = Observation(began=page.began, ended=page.ended, server=self._bind(server), listed=True)
                found[key] = newer(found[key], shown) if key in found else shown
        return found

    def known(self, item: Any) -> Server | None:
        """Return the server of a list's *item* if it need not be read, which saves half of the time of a list.

        A server that is as in the last poll, by status and `updated_at`, need not be read. Of a server that nobody
        wants, the id will do. Watches want all of every server.
        """
        if self._subscribers.watching or type(item) is not dict:
            return None
        key = item.get("id")
        waits = self._subscribers.waits_for(str(key))
        if not waits:
            return Server(id=key, name="", status="") if key is not None and _decoding.key(key) is not None else None
        last = waits[0].subscriber.last
        if last is None or last.updated_at is None or last.status != item.get("status"):
            return None
        return last if item.get("updated_at") == _decoding.iso(last.updated_at) else None


def _concerned(one: Subscription, poll: Poll, failure: VPSError | None) -> bool:
    """Return whether a subscription is to be told that a poll ended with *failure*, if it did.

    A subscriber that did not want a poll yet does not lose its patience because of the polls of others.
    """
    return failure is None or poll.began >= one.entry.early or ends_a_wait(failure)


def _was_served(one: Subscription, poll: Poll) -> bool:
    """Return whether an observation of one server counts as the round that a subscription was due for.

    A watch of several servers is due again after the round of GETs, and not after GETs for what a list left out.
    """
    keys = one.entry.keys
    if keys is not None and len(keys) == 1:
        return True
    return poll.key is not None and one.entry in poll.entries and one.entry not in poll.missed


def _was_observed(one: Subscription, shown: Collection[str], doubtful: Collection[str]) -> bool:
    """Return whether the list has shown the only server that a subscription wants."""
    keys = one.entry.keys
    if keys is None or len(keys) > 1:
        return False
    (key,) = keys
    return key in shown and key not in doubtful
