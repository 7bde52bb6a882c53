"""Every page of a list, fetched ahead, each server once."""

from __future__ import annotations

import re

from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import anyio
import attrs

from ._endpoints import LIST_PATH, list_page
from ._errors import APITimeoutError, BadRequestError, NotFoundError, ResponseError
from ._events import logger
from ._polling.schedule import Size
from ._request import codec


if TYPE_CHECKING:
    from datetime import datetime

    from ._clock import Clock
    from ._models import Server
    from ._request.call import CallOptions
    from ._request.requester import Requester

PAGE_SIZE = 100
"""Servers asked for at a time: the most that the vendor's API gives (DIALECT.md)."""

AHEAD = 8
"""Pages fetched at once."""

MOST_PASSES = 3
"""How often a list that changes while it is read is read again (assumed)."""

_BARREN_PAGES = 3
"""So many pages in a row without a new server, and `next` never ends (assumed)."""

_PAGES_UNASKED = 1_000
"""So many pages are read whatever `count` says (assumed)."""

_MOST_PAGES = 10_000
"""So many pages are read at most (assumed: a million servers)."""

_SUMMARY = f"GET {LIST_PATH}"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


Known: TypeAlias = Callable[[Any], "Server | None"]
"""Tells which server a page's item is, if it has been read before and is as it was."""


@attrs.frozen
class PageRead:
    """One page's servers, when its request began and ended on the client's clock, and the API's clock then."""

    servers: list[Server]
    # Whatever the page listed, malformed items too.
    length: int
    count: int | None
    next: str | None
    began: float
    ended: float
    date: datetime | None


class Pager:
    """Fetches single pages. Remembers whether the API knows `page_size`, and how large the whole list is."""

    def __init__(self, requester: Requester, clock: Clock) -> None:
        self._requester = requester
        self.clock = clock
        self.sized = True
        # Of the list without a filter, as last seen.
        self.size: Size | None = None
        self._path = requester.http.base_url.path.rstrip("/") + LIST_PATH.rstrip("/")

    async def fetch(
        self,
        query: Mapping[str, str],
        options: CallOptions,
        *,
        first: int,
        skip_invalid: bool,
        known: Known | None = None,
    ) -> PageRead:
        """Return the page of *query*, whose items stand at *first* and after in the whole list."""
        began = self.clock.now()
        answer = await self._requester.send(list_page(query), options)
        page = answer.value
        try:
            servers = codec.servers(page, first=first, skip_invalid=skip_invalid, on_skipped=_warn, known=known)
        except ResponseError as error:
            raise _unusable(str(error)) from None
        return PageRead(servers, len(page.items), page.count, page.next, began, self.clock.now(), answer.date)

    async def fetch_first(
        self, query: Mapping[str, str], options: CallOptions, *, skip_invalid: bool, known: Known | None = None
    ) -> tuple[dict[str, str], PageRead]:
        """Return the first page, and the query that the API took for it."""
        if self.sized:
            sized = {"page_size": str(PAGE_SIZE), **query}
            try:
                return sized, await self.fetch(sized, options, first=0, skip_invalid=skip_invalid, known=known)
            except (BadRequestError, NotFoundError):
                pass
        plain = dict(query)
        page = await self.fetch(plain, options, first=0, skip_invalid=skip_invalid, known=known)
        self.sized = False
        return plain, page

    def query_of(self, link: str) -> dict[str, str] | None:
        """Return the query of a page's `next`; `None` if it leads out of the list.

        Its origin is never gone to, and may be wrong: a proxy in front of the API can change scheme, host and a prefix.
        """
        try:
            parts = urlsplit(link)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
        except ValueError:
            return None
        path = parts.path.rstrip("/") if parts.path or parts.netloc else self._path
        ours = path.endswith(LIST_PATH.rstrip("/")) and (path.endswith(self._path) or self._path.endswith(path))
        return query if query and ours else None


@attrs.define(eq=False)
class _Pass:
    """One reading of all pages, from the first to the last."""

    query: dict[str, str]
    query_of: Callable[[str], dict[str, str] | None]
    ids: set[str] = attrs.field(factory=set)
    servers: list[Server] = attrs.field(factory=list)
    counts: set[int | None] = attrs.field(factory=set)
    length: int = 0
    repeated: bool = False
    barren: int = 0
    pages: int = 0
    asked: set[tuple[tuple[str, str], ...]] = attrs.field(factory=set)
    page_length: int = 0
    # Where the last page says to go on.
    next: str | None = None
    # How many pages the count promises, if they are numbered; else 0.
    promised: int = 0

    def begin(self, page: PageRead) -> list[Server]:
        """Add the first page; return its servers."""
        self.page_length = page.length
        fresh = self.take(self.query, page)
        numbered = page.next is not None and self.query_of(page.next) == self._page(2)
        if numbered and page.count is not None and page.length:
            self.promised = -(-page.count // page.length)
        return fresh

    def take(self, query: Mapping[str, str], page: PageRead) -> list[Server]:
        """Add a page; return the servers that no page before had."""
        fresh = []
        for server in page.servers:
            key = str(server.id)
            if key in self.ids:
                self.repeated = True
            else:
                self.ids.add(key)
                fresh.append(server)
        self.servers += fresh
        self.asked.add(_key(query))
        self.next = page.next
        self.length += page.length
        self.counts.add(page.count)
        self.pages += 1
        self.barren = 0 if fresh else self.barren + 1
        return fresh

    def upcoming(self, link: str) -> list[dict[str, str]]:
        """Return the queries of the pages to fetch now: the one that *link* leads to, and some promised after it.

        Raises:
            ResponseError: it leads somewhere else than to this list, or nowhere new.
        """
        query = self.query_of(link)
        if query is None:
            raise _unusable(f"the list's 'next' leads to {_shown(link)!r}: not followed")
        if _key(query) in self.asked:
            raise _unusable(f"the list's 'next' leads back to a page that was read: {query}")
        most = min(_MOST_PAGES, _PAGES_UNASKED + 2 * max(count or 0 for count in self.counts))
        if self.barren >= _BARREN_PAGES or self.pages >= most:
            raise _unusable(f"the list's 'next' never ends ({self.pages} pages read)")
        page = query.get("page", "")
        number = int(page) if _NUMBER.fullmatch(page) else 0
        if query != self._page(number):
            return [query]
        return [query, *map(self._page, range(number + 1, min(number + AHEAD, self.promised + 1)))]

    def _page(self, number: int) -> dict[str, str]:
        return {**self.query, "page": str(number)}

    @property
    def consistent(self) -> bool:
        """Whether, as far as ids and counts can tell, nothing moved between two pages."""
        if self.repeated or len(self.counts) > 1:
            return False
        count = next(iter(self.counts))
        return count is None or self.length >= count


class Listing(AsyncIterator["Server"]):
    """One walk over all servers of a query, page after page, those the API shows twice once.

    A list that shrinks or grows while it is read moves servers between pages: it is read again, and what was missed
    comes last. No request is made that the caller does not wait for.
    """

    def __init__(
        self,
        pager: Pager,
        query: Mapping[str, str],
        options: CallOptions,
        *,
        skip_invalid: bool = False,
        keep: Callable[[Server], bool] | None = None,
        on_page: Callable[[PageRead], None] | None = None,
        passes: int = MOST_PASSES,
        known: Known | None = None,
    ) -> None:
        self._pager = pager
        self._query = query
        self._options = options
        self._skip_invalid = skip_invalid
        self._keep = keep
        self._on_page = on_page
        self._most_passes = passes
        self._known = known
        self._ready: deque[Server] = deque()
        # What a page fetched ahead failed with: raised when the servers before it have been given.
        self._failure: Exception | None = None
        # By the passes before the current one.
        self._given: set[str] = set()
        self._current: _Pass | None = None
        self._previous: _Pass | None = None
        self._passes = 0
        self._ended = False
        self.first_page: PageRead | None = None

    def __aiter__(self) -> Listing:
        return self

    async def __anext__(self) -> Server:
        """Return the next server.

        After an error, or a cancel, iterating may go on: what is missing is asked for again.

        Cancellation: pages on the wire are abandoned.
        """
        if not self._ready and not await self._fetch_more():
            raise StopAsyncIteration
        return self._ready.popleft()

    async def _fetch_more(self) -> bool:
        """Return whether some servers are ready; if not, all have been given."""
        while not self._ready:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if self._ended:
                return False
            await self._advance()
        return True

    async def read_all(self, *, within: float | None = None) -> list[Server]:
        """Return all servers, in the API's order.

        Raises:
            APITimeoutError: that took longer than *within* seconds, whatever the single pages took.
        """
        with self._pager.clock.move_on_after(within):
            servers: list[Server] = []
            while await self._fetch_more():
                servers += self._ready
                self._ready.clear()
            last = self._current
            if last is None or self._previous is None:
                return servers
            missing = [] if last.consistent else [server for server in servers if str(server.id) not in last.ids]
            return [server for server in (*last.servers, *missing) if self._keep is None or self._keep(server)]
        raise APITimeoutError(f"{_SUMMARY}: not all pages could be read within {within:g} s", request_summary=_SUMMARY)

    async def _advance(self) -> None:
        current = self._current
        if current is None or (current.next is None and self._read_again(current)):
            await self._begin_pass()
        elif current.next is None:
            self._ended = True
            if not self._query and current.pages > 1:
                self._pager.size = Size(total=current.length, page=current.page_length)
        else:
            await self._go_on(current, current.upcoming(current.next))

    def _read_again(self, current: _Pass) -> bool:
        if current.consistent or self._passes >= self._most_passes:
            return False
        # The same again: then the count is wrong, and not the observation.
        return self._previous is None or self._previous.ids != current.ids

    async def _begin_pass(self) -> None:
        query, page = await self._pager.fetch_first(
            self._query, self._options, skip_invalid=self._skip_invalid, known=self._known
        )
        current = _Pass(query, self._pager.query_of)
        self._previous, self._current = self._current, current
        if self._previous is not None:
            self._given |= self._previous.ids
        self._passes += 1
        self.first_page = page
        fresh = current.begin(page)
        if not self._query:
            self._pager.size = _size_of(page)
        self._hand_out(page, fresh)

    async def _go_on(self, current: _Pass, queries: list[dict[str, str]]) -> None:
        for query, page in zip(queries, await self._fetch_together(current, queries), strict=True):
            if current.next is None or current.query_of(current.next) != query:
                # The page before leads elsewhere than its number: what was fetched ahead is not what follows.
                return
            if isinstance(page, Exception):
                self._failure = page
                return
            if page is None:
                current.next = None
                return
            self._hand_out(page, current.take(query, page))

    async def _fetch_together(self, current: _Pass, queries: list[dict[str, str]]) -> list[PageRead | Exception | None]:
        """Return the pages of *queries*, `None` for one that is past the end, or what went wrong instead."""
        pages: list[PageRead | Exception | None] = [None] * len(queries)

        async def fetch(index: int) -> None:
            first = current.length + index * current.page_length
            try:
                pages[index] = await self._pager.fetch(
                    queries[index],
                    self._options,
                    first=first,
                    skip_invalid=self._skip_invalid,
                    known=self._known,
                )
            except NotFoundError:
                pass
            except Exception as error:  # noqa: BLE001 - a hook of the user's may raise anything; raised in its turn
                pages[index] = error

        async with anyio.create_task_group() as group:
            for index in range(len(queries)):
                group.start_soon(fetch, index)
        return pages

    def _hand_out(self, page: PageRead, fresh: list[Server]) -> None:
        if self._on_page is not None:
            self._on_page(page)
        if self._given:
            fresh = [server for server in fresh if str(server.id) not in self._given]
        self._ready += fresh if self._keep is None else filter(self._keep, fresh)


def _size_of(first: PageRead) -> Size:
    """Return how large the list is that begins with this page, as far as it tells."""
    if first.next is None:
        return Size(total=first.length, page=max(first.length, 1))
    # Without a count: until the last page has been seen.
    return Size(total=max(first.count or 0, first.length + 1), page=max(first.length, 1))


def _unusable(trouble: str) -> ResponseError:
    return ResponseError(f"{_SUMMARY}: {trouble}", request_summary=_SUMMARY)


def _shown(link: str) -> str:
    """Return *link* without user, query and fragment, which may hold secrets."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", link, maxsplit=1)[0])[:200]


class ServerList:
    """The servers of a query: await it for all of them, iterate it for one after another. Each use lists anew."""

    def __init__(self, walk: Callable[[], Listing]) -> None:
        self._walk = walk

    def __aiter__(self) -> Listing:
        return self._walk()

    def __await__(self) -> Generator[Any, None, list[Server]]:
        return self.all().__await__()

    async def all(self) -> list[Server]:
        """Return all servers, in the API's order.

        Raises:
            ResponseError: an item has no usable id, or the pages do not end.
            VPSError: as any call, for any of the pages.
        """
        return await self._walk().read_all()


def _key(query: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(query.items()))


def _warn(text: str) -> None:
    logger.warning("GET %s: left out %s", LIST_PATH, text)
