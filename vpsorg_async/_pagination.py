"""Reads every page of a list, several pages ahead, and gives each server once."""

from __future__ import annotations

import itertools

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import anyio

from ._cancellation import is_foreign_cancel
from ._clock import Clock
from ._endpoints import LIST_PATH, list_page
from ._errors import APIConnectionError, APITimeoutError, BadRequestError, NotFoundError, ResponseError
from ._events import logger
from ._models import Server
from ._page_plan import LIST_REQUEST, Choice, ListPass, PageRead, query_of, unusable
from ._polling.entry import Size
from ._public import publish
from ._request import codec
from ._request.call import CallOptions
from ._request.requester import Requester
from ._unawaited import Unawaited


PAGE_SIZE = 100
"""The number of servers asked for at a time. The vendor's API gives no more (measured)."""

MOST_PASSES = 3
"""A list that changes while it is read is read at most so many times (assumed)."""

Choose: TypeAlias = Callable[[Sequence[Any]], Choice | None]
"""Chooses by the items of a page, as they came, which of them to read. `None` is all."""

Skips: TypeAlias = bool | Callable[[Any], bool]
"""Whether malformed items are left out, or a function that tells it of such an item."""


class Pager:
    """Requests single pages. It remembers whether the API accepts `page_size`, and how long the whole list is."""

    def __init__(self, requester: Requester, clock: Clock) -> None:
        self._requester = requester
        self.check: Callable[[], None] = requester.check
        self.clock = clock
        self._sized = True
        # The size of the list without a filter, as last seen.
        self.size: Size | None = None
        self._base_path = requester.http.base_url.path

    async def fetch(
        self,
        query: Mapping[str, str],
        options: CallOptions,
        *,
        first: int,
        skip_invalid: Skips,
        choose: Choose | None = None,
    ) -> PageRead:
        """Return the page of *query*. Its first item has the number *first* in the whole list."""
        result = await self._requester.send(list_page(query), options)
        page = result.value
        choice = None if choose is None else choose(page.items)
        wanted, others = (None, ()) if choice is None else (choice.wanted, choice.others)
        try:
            servers = codec.servers(page, first=first, skip_invalid=skip_invalid, on_skipped=_warn, wanted=wanted)
        except ResponseError as error:
            raise unusable(str(error)) from None
        ended = self.clock.now()
        return PageRead(
            servers, len(page.items), page.count, page.next, result.began, ended, result.date, result.cached, others
        )

    async def fetch_first(
        self, query: Mapping[str, str], options: CallOptions, *, skip_invalid: Skips, choose: Choose | None = None
    ) -> tuple[dict[str, str], PageRead]:
        """Return the first page, and the query that the API accepted for it."""
        if self._sized:
            sized = {"page_size": str(PAGE_SIZE), **query}
            try:
                return sized, await self.fetch(sized, options, first=0, skip_invalid=skip_invalid, choose=choose)
            except (BadRequestError, NotFoundError):
                pass
        plain = dict(query)
        page = await self.fetch(plain, options, first=0, skip_invalid=skip_invalid, choose=choose)
        self._sized = False
        return plain, page

    def query_of(self, link: str) -> dict[str, str] | None:
        """Return the query of a page's `next` link, or `None` if the link leaves the list."""
        return query_of(link, base_path=self._base_path, path=LIST_PATH)


class Listing(AsyncIterator["Server"]):
    """Walks over all servers of a query, page after page, and gives each server once.

    A list that shrinks or grows while it is read moves servers between pages. Such a list is read again, and the
    servers that were missed come last. The listing makes no request while nobody awaits it.

    Attributes:
        options: those of the requests from now on.
        first_page: the first page of the pass that is being read.
    """

    def __init__(
        self,
        pager: Pager,
        query: Mapping[str, str],
        options: CallOptions,
        *,
        skip_invalid: Skips = False,
        keep: Callable[[Server], bool] | None = None,
        on_page: Callable[[PageRead], None] | None = None,
        passes: int = MOST_PASSES,
        choose: Choose | None = None,
    ) -> None:
        self._pager = pager
        self._query = query
        self.options = options
        self._skip_invalid = skip_invalid
        self._keep = keep
        self._on_page = on_page
        self._most_passes = passes
        self._choose = choose
        self._ready: deque[Server] = deque()
        # The error of a page that was requested ahead. It is raised after the servers before that page were given.
        self._failure: Exception | None = None
        # The ids that earlier passes gave.
        self._given: set[str] = set()
        self._current: ListPass | None = None
        self._previous: ListPass | None = None
        self._passes = 0
        self._pages_read = 0
        self._ended = False
        self.first_page: PageRead | None = None

    def __aiter__(self) -> Listing:
        return self

    async def __anext__(self) -> Server:
        """Return the next server.

        Iterating may go on after an error or a cancel: the listing then requests what is missing.

        Cancellation: requests of pages are abandoned. The pages that have come are kept.
        """
        while not self._ready:
            if not await self.read_on():
                raise StopAsyncIteration
        return self._ready.popleft()

    async def read_on(self) -> bool:
        """Read the next pages, which are requested together. Return `False` if all were read before.

        Cancellation: requests of pages are abandoned. The pages that have come are kept.
        """
        before = self._pages_read
        while self._pages_read == before:
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
            APITimeoutError: all pages together took longer than *within* seconds.
        """
        # Before a scope is made, which a forked child cannot have: its loop is still the parent's.
        self._pager.check()
        with self._pager.clock.move_on_after(within):
            while await self.read_on():
                pass
            servers, last = [*self._ready], self._current
            if last is None or self._previous is None:
                return servers
            missing = [] if last.consistent else [server for server in servers if str(server.id) not in last.ids]
            return [server for server in (*last.servers, *missing) if self._keep is None or self._keep(server)]
        raise APITimeoutError(
            f"{LIST_REQUEST}: not all pages could be read within {within:g} s",
            sent=False,
            request_summary=LIST_REQUEST,
        )

    async def _advance(self) -> None:
        current = self._current
        if current is None or (current.next is None and self._reads_again(current)):
            await self._begin_pass()
        elif current.next is None:
            self._ended = True
            if not self._query and current.pages > 1:
                self._pager.size = Size(total=current.length, page=current.page_length)
        else:
            await self._go_on(current, current.upcoming(current.next))

    def _reads_again(self, current: ListPass) -> bool:
        if current.consistent or self._passes >= self._most_passes:
            return False
        # The same servers again: the count is wrong, and the reading was right.
        return self._previous is None or self._previous.ids != current.ids

    async def _begin_pass(self) -> None:
        query, page = await self._pager.fetch_first(
            self._query, self.options, skip_invalid=self._skip_invalid, choose=self._choose
        )
        current = ListPass(query, self._pager.query_of)
        self._previous, self._current = self._current, current
        if self._previous is not None:
            self._given |= self._previous.ids
        self._passes += 1
        self.first_page = page
        fresh = current.begin(page)
        if not self._query:
            self._pager.size = _size_of(page)
        self._hand_out(page, fresh)

    async def _go_on(self, current: ListPass, queries: list[dict[str, str]]) -> None:
        """Request the pages of *queries* together, and take them in their order.

        Cancellation: the pages that have come, up to the first that has not, are kept.
        """
        pages: dict[int, PageRead | Exception | None] = {}
        try:
            await self._fetch_together(current, queries, pages)
        finally:
            self._take(current, [(queries[index], pages[index]) for index in _come(pages)])

    def _take(self, current: ListPass, pages: list[tuple[dict[str, str], PageRead | Exception | None]]) -> None:
        for query, page in pages:
            if current.next is None or current.query_of(current.next) != query:
                # The page before links to another page than the next number: the pages requested ahead do not follow.
                return
            if isinstance(page, Exception):
                self._failure = page
                return
            if page is None:
                current.next = None
                return
            self._hand_out(page, current.take(query, page))

    async def _fetch_together(
        self, current: ListPass, queries: list[dict[str, str]], pages: dict[int, PageRead | Exception | None]
    ) -> None:
        """Put the page of each query into *pages*, `None` for a page past the end, or the error in its place."""

        async def fetch(index: int) -> None:
            first = current.length + index * current.page_length
            try:
                pages[index] = await self._pager.fetch(
                    queries[index],
                    self.options,
                    first=first,
                    skip_invalid=self._skip_invalid,
                    choose=self._choose,
                )
            except NotFoundError:
                pages[index] = None
            except Exception as error:  # noqa: BLE001 - a user's hook may raise anything; raised when its page is due
                pages[index] = error
            except BaseException as error:
                if not is_foreign_cancel(error):
                    raise
                # The task group would take it for a cancel of all pages, and the list would end here.
                pages[index] = APIConnectionError(
                    f"{LIST_REQUEST}: the token's callable or a hook awaited something that was cancelled",
                    sent=False,
                    request_summary=LIST_REQUEST,
                )

        async with anyio.create_task_group() as group:
            for index in range(len(queries)):
                group.start_soon(fetch, index)

    def _hand_out(self, page: PageRead, fresh: list[Server]) -> None:
        self._pages_read += 1
        if self._on_page is not None:
            self._on_page(page)
        if self._given:
            fresh = [server for server in fresh if str(server.id) not in self._given]
        self._ready += fresh if self._keep is None else filter(self._keep, fresh)


def _come(pages: Mapping[int, object]) -> Iterator[int]:
    """Yield the numbers of the pages that have come, up to the first that has not."""
    return itertools.takewhile(pages.__contains__, itertools.count())


def _size_of(first: PageRead) -> Size:
    """Return the size of the list that begins with this page, as far as the page tells."""
    if first.next is None:
        return Size(total=first.length, page=max(first.length, 1))
    # Without a count, this holds until the last page was read.
    return Size(total=max(first.count or 0, first.length + 1), page=max(first.length, 1))


class ServerList(Unawaited):
    """The servers of a query: await it for all of them, or iterate it with `async for`. Each use lists anew.

    A list that is never awaited or iterated gives a `RuntimeWarning`, as it requests nothing.
    """

    def __init__(self, walk: Callable[[], Listing]) -> None:
        self._walk = walk
        self._not_yet("a list of servers", "await it, or iterate it with 'async for'")

    def __repr__(self) -> str:
        return f"<ServerList: {self._advice}>"

    def __aiter__(self) -> Listing:
        self._begin()
        return self._walk()

    def __await__(self) -> Generator[Any, None, list[Server]]:
        return self.all().__await__()

    def all(self) -> Coroutine[Any, Any, list[Server]]:
        """Return the coroutine that returns all servers, in the API's order.

        Raises:
            ResponseError: an item has no usable id, or the pages do not end.
            VPSError: a page failed, as any call may.
        """
        self._begin()
        return self._walk().read_all()


def _warn(text: str) -> None:
    logger.warning("%s: left out %s", LIST_REQUEST, text)


publish(ServerList)
