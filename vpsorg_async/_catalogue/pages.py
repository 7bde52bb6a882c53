"""Reads every page of a list that is small and rarely changes, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _endpoints
from .._errors import APITimeoutError
from .._page_plan import query_of, shown_link, unusable


if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._clock import Clock
    from .._request.call import CallOptions
    from .._request.requester import Requester


MOST_PAGES = 100
"""No more pages are read than this (assumed: 2,000 items)."""


async def read_pages(requester: Requester, path: str, query: Mapping[str, str], options: CallOptions) -> list[Any]:
    """Return the items of all pages of the list at *path*, as they came. The options' timeout is for each page.

    Raises:
        ResponseError: a page is no page of a list, or the pages do not end.

    Cancellation: ends at once.
    """
    request, base_path = f"GET {path}", requester.http.base_url.path
    items: list[Any] = []
    read: list[Mapping[str, str]] = []
    following: Mapping[str, str] = query
    while True:
        page = (await requester.send(_endpoints.catalogue_page(path, following), options)).value
        items += page.items
        read.append(following)
        if page.next is None:
            return items
        link = query_of(page.next, base_path=base_path, path=path)
        if link is None:
            raise unusable(f"the list's 'next' leads to {shown_link(page.next)!r}: not followed", request)
        if link in read or len(read) >= MOST_PAGES:
            raise unusable(f"the list's 'next' never ends ({len(read)} pages read)", request)
        following = link


async def read_pages_within(requester: Requester, clock: Clock, path: str, options: CallOptions) -> list[Any]:
    """Return the items of all pages of the list at *path*. The options' timeout is for all pages together.

    Raises:
        APITimeoutError: they took longer.
        ResponseError: a page is no page of a list, or the pages do not end.

    Cancellation: ends at once.
    """
    with clock.move_on_after(options.timeout):
        return await read_pages(requester, path, {}, options)
    raise APITimeoutError(
        f"GET {path}: not all pages could be read within {options.timeout:g} s",
        sent=False,
        request_summary=f"GET {path}",
    )
