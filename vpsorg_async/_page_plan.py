"""Decides which pages of a list to request next, and whether the list was read whole. Pure."""

from __future__ import annotations

import re

from typing import TYPE_CHECKING

import attrs

from ._errors import ResponseError


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ._models import Server

LIST_REQUEST = "GET /servers/"
"""The request that errors about a list name."""

AHEAD = 8
"""The number of pages that are requested at the same time."""

_EMPTY_PAGES = 3
"""After so many pages in a row without a new server, `next` is taken to be endless (assumed)."""

_PAGES_WITHOUT_COUNT = 1_000
"""So many pages are read whatever `count` says (assumed)."""

_MOST_PAGES = 10_000
"""No more pages are read than this (assumed: a million servers)."""

_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@attrs.frozen
class PageRead:
    """One page of a list.

    Attributes:
        servers: its servers, in the API's order.
        length: the number of items on the page, malformed ones included.
        count: the number of servers on all pages, as the API says.
        next: the link to the next page, or `None`.
        began: when its request began, in seconds on the client's clock.
        ended: when its response had come.
        date: the API's clock then, from the response's `Date`.
    """

    servers: list[Server]
    length: int
    count: int | None
    next: str | None
    began: float
    ended: float
    date: datetime | None


@attrs.define(eq=False)
class ListPass:
    """One pass over all pages of a list, from the first page to the last.

    Attributes:
        query: the query of the first page.
        query_of: returns the query of a `next` link, or `None` for a link that leaves the list.
        ids: the ids of all servers so far.
        servers: all servers so far, in the API's order, each once.
        length: the number of items on all pages so far, malformed and repeated ones included.
        page_length: the number of items on the first page.
        pages: the number of pages so far.
        next: the last page's link to the next one, or `None` after the last page.
    """

    query: dict[str, str]
    query_of: Callable[[str], dict[str, str] | None]
    ids: set[str] = attrs.field(factory=set)
    servers: list[Server] = attrs.field(factory=list)
    length: int = 0
    page_length: int = 0
    pages: int = 0
    next: str | None = None
    _counts: set[int | None] = attrs.field(factory=set)
    _repeated: bool = False
    _empty: int = 0
    _requested: set[tuple[tuple[str, str], ...]] = attrs.field(factory=set)
    # The number of pages by `count`, if pages are numbered; else 0.
    _promised: int = 0

    def begin(self, page: PageRead) -> list[Server]:
        """Add the first page. Return its servers."""
        self.page_length = page.length
        fresh = self.take(self.query, page)
        numbered = page.next is not None and self.query_of(page.next) == self._page(2)
        if numbered and page.count is not None and page.length:
            self._promised = -(-page.count // page.length)
        return fresh

    def take(self, query: Mapping[str, str], page: PageRead) -> list[Server]:
        """Add a page. Return the servers that were on no page before."""
        fresh = []
        for server in page.servers:
            key = str(server.id)
            if key in self.ids:
                self._repeated = True
            else:
                self.ids.add(key)
                fresh.append(server)
        self.servers += fresh
        self._requested.add(_key(query))
        self.next = page.next
        self.length += page.length
        self._counts.add(page.count)
        self.pages += 1
        self._empty = 0 if fresh else self._empty + 1
        return fresh

    def upcoming(self, link: str) -> list[dict[str, str]]:
        """Return the queries of the pages to request now: the page that *link* leads to, and pages promised after it.

        Raises:
            ResponseError: the link leaves the list, or leads to a page that was read already.
        """
        query = self.query_of(link)
        if query is None:
            raise unusable(f"the list's 'next' leads to {_shown(link)!r}: not followed")
        if _key(query) in self._requested:
            raise unusable(f"the list's 'next' leads back to a page that was read: {query}")
        most = min(_MOST_PAGES, _PAGES_WITHOUT_COUNT + 2 * max(count or 0 for count in self._counts))
        if self._empty >= _EMPTY_PAGES or self.pages >= most:
            raise unusable(f"the list's 'next' never ends ({self.pages} pages read)")
        page = query.get("page", "")
        number = int(page) if _NUMBER.fullmatch(page) else 0
        if query != self._page(number):
            return [query]
        return [query, *map(self._page, range(number + 1, min(number + AHEAD, self._promised + 1)))]

    def _page(self, number: int) -> dict[str, str]:
        return {**self.query, "page": str(number)}

    @property
    def consistent(self) -> bool:
        """Whether the ids and counts show no server that moved between two pages."""
        if self._repeated or len(self._counts) > 1:
            return False
        count = next(iter(self._counts))
        return count is None or self.length >= count


def unusable(trouble: str) -> ResponseError:
    """Return the error of a list that cannot be read to its end."""
    return ResponseError(f"{LIST_REQUEST}: {trouble}", request_summary=LIST_REQUEST)


def _shown(link: str) -> str:
    """Return *link* without user, query and fragment, which may be secret."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", link, maxsplit=1)[0])[:200]


def _key(query: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(query.items()))
