"""Decides which pages of a list to request next, and whether the list was read whole. Pure."""

from __future__ import annotations

import re

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import attrs

from ._errors import ResponseError
from ._secrets import without_secrets
from ._server_parts import DELETED


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
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
class Choice:
    """The items of a page that somebody wants. The others are not read.

    Attributes:
        wanted: the places of the wanted items, each with its server, or with `None` if the item has to be read.
        others: the ids of the other items.
    """

    wanted: Mapping[int, Server | None]
    others: Sequence[str]


@attrs.frozen
class PageRead:
    """One page of a list.

    Attributes:
        servers: its servers, in the API's order, as far as they were read.
        length: the number of items on the page, malformed ones included.
        count: the number of servers on all pages, as the API says.
        next: the link to the next page, or `None`.
        began: when its request began, in seconds on the client's clock.
        ended: when its response had come.
        date: the API's clock then, from the response's `Date`.
        cached: whether a cache has answered in the API's place.
        others: the ids of the servers that were not read, because nobody wants them.
    """

    servers: list[Server]
    length: int
    count: int | None
    next: str | None
    began: float
    ended: float
    date: datetime | None
    cached: bool = False
    others: Sequence[str] = ()


@attrs.define(eq=False)
class ListPass:
    """One pass over all pages of a list, from the first page to the last.

    Attributes:
        query: the query of the first page.
        query_of: returns the query of a `next` link, or `None` for a link that leaves the list.
        ids: the ids of all servers so far.
        servers: all servers that were read so far, in the API's order, each once.
        length: the number of items on all pages so far, malformed and repeated ones included.
        page_length: the number of items on the first page.
        pages: the number of pages so far.
        next: the last page's link to the next one, or `None` after the last page.
    """

    query: dict[str, str]
    query_of: Callable[[str], dict[str, str] | None]
    ids: set[str] = attrs.field(factory=set[str])
    servers: list[Server] = attrs.field(factory=list["Server"])
    length: int = 0
    page_length: int = 0
    pages: int = 0
    next: str | None = None
    _counts: set[int | None] = attrs.field(factory=set[int | None])
    _repeated: bool = False
    _empty: int = 0
    _requested: set[tuple[tuple[str, str], ...]] = attrs.field(factory=set[tuple[tuple[str, str], ...]])
    # The number of pages by `count`, if pages are numbered; else 0.
    _promised: int = 0
    # The query of a numbered page without its number: the first `next` link may give another `page_size`, the server's
    # own limit, and parameters that were not asked for.
    _numbered: dict[str, str] = attrs.field(factory=dict[str, str])

    def begin(self, page: PageRead) -> list[Server]:
        """Add the first page. Return its servers."""
        self.page_length = page.length
        fresh = self.take(self.query, page)
        following = None if page.next is None else self.query_of(page.next)
        numbered = following is not None and self._continues(following)
        if numbered and page.count is not None and page.length:
            self._numbered = dict(following or {})
            self._promised = -(-page.count // page.length)
        return fresh

    def _continues(self, following: Mapping[str, str]) -> bool:
        """Return whether *following* is the query of the second page, but for what a server may change."""
        return following.get("page") == "2" and all(
            name in following and (name == "page_size" or following[name] == value)
            for name, value in self.query.items()
        )

    def take(self, query: Mapping[str, str], page: PageRead) -> list[Server]:
        """Add a page. Return the servers that were on no page before."""
        before = len(self.ids)
        fresh: list[Server] = []
        for server in page.servers:
            key = str(server.id)
            if key in self.ids:
                self._repeated = True
            else:
                self.ids.add(key)
                fresh.append(server)
        self.ids.update(page.others)
        if len(self.ids) < before + len(fresh) + len(page.others):
            self._repeated = True
        self.servers += fresh
        self._requested.add(_key(query))
        self.next = page.next
        self.length += page.length
        self._counts.add(page.count)
        self.pages += 1
        self._empty = 0 if len(self.ids) > before else self._empty + 1
        return fresh

    def upcoming(self, link: str) -> list[dict[str, str]]:
        """Return the queries of the pages to request now: the page that *link* leads to, and pages promised after it.

        Raises:
            ResponseError: the link leaves the list, or leads to a page that was read already.
        """
        query = self.query_of(link)
        if query is None:
            raise unusable(f"the list's 'next' leads to {shown_link(link)!r}: not followed")
        if _key(query) in self._requested:
            raise unusable(f"the list's 'next' leads back to a page that was read: {without_secrets(query)}")
        most = min(_MOST_PAGES, _PAGES_WITHOUT_COUNT + 2 * max(count or 0 for count in self._counts))
        if self._empty >= _EMPTY_PAGES or self.pages >= most:
            raise unusable(f"the list's 'next' never ends ({self.pages} pages read)")
        page = query.get("page", "")
        number = int(page) if _NUMBER.fullmatch(page) else 0
        if query != self._page(number):
            return [query]
        return [query, *map(self._page, range(number + 1, min(number + AHEAD, self._promised + 1)))]

    def _page(self, number: int) -> dict[str, str]:
        return {**self._numbered, "page": str(number)}

    @property
    def consistent(self) -> bool:
        """Whether the ids and counts show no server that moved between two pages."""
        if self._repeated or len(self._counts) > 1:
            return False
        count = next(iter(self._counts))
        return count is None or self.length >= count


def filter_of(statuses: Collection[str] | None, location: str | None) -> Callable[[Server], bool]:
    """Return whether a server of a list fits its filters, which an API or a proxy may ignore.

    A location is compared only on items of the documented shape, which have a string: the vendor's newer clients name
    locations in other ways. A server that is deleted is in no list.
    """
    code = None if location is None else location.casefold()

    def fits(server: Server) -> bool:
        if server.status == DELETED or (statuses is not None and server.status not in statuses):
            return False
        return code is None or not _names_location(server) or str(server.location).casefold() == code

    return fits


def _names_location(server: Server) -> bool:
    """Return whether an item had a string `location`, and not one that was filled in from another field."""
    return server.location is not None and not server.extra.keys() & {"location", "location_name"}


def unusable(trouble: str, request: str = LIST_REQUEST) -> ResponseError:
    """Return the error of a list that cannot be read to its end."""
    return ResponseError(f"{request}: {trouble}", request_summary=request)


def query_of(link: str, *, base_path: str, path: str) -> dict[str, str] | None:
    """Return the query of the `next` link of a list at *path*, or `None` if the link leaves the list.

    The client never goes to the link's origin. A proxy may have changed its scheme, host and path prefix.
    """
    list_path = path.rstrip("/")
    own = base_path.rstrip("/") + list_path
    try:
        parts = urlsplit(link)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        return None
    given = parts.path.rstrip("/") if parts.path or parts.netloc else own
    ours = given.endswith(list_path) and (given.endswith(own) or own.endswith(given))
    return query if query and ours else None


def shown_link(link: str) -> str:
    """Return *link* without user, query and fragment, which may be secret."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", link, maxsplit=1)[0])[:200]


def _key(query: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(query.items()))
