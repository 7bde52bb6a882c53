"""Reads the list for a poll, round after round, and keeps the pages that were read when another task goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._pagination import Listing


if TYPE_CHECKING:
    from .._page_plan import PageRead
    from .._pagination import Choose, Pager
    from .._request.call import CallOptions


class ListPoll:
    """One reading of the whole list. A `read` that failed or was cancelled may be followed by another one.

    Attributes:
        pages: the pages that were read so far.
        ended: whether these are all.
    """

    def __init__(self, pager: Pager, options: CallOptions, *, choose: Choose) -> None:
        self.pages: list[PageRead] = []
        self.ended = False
        self._taken = 0
        # A list that changes while it is read is not read again: the next poll reads it.
        self._listing = Listing(
            pager, {}, options, skip_invalid=True, on_page=self.pages.append, passes=1, choose=choose
        )

    async def read(self) -> Exception | None:
        """Request the next pages. Return how that failed, or `None`.

        Cancellation: the pages that have come are kept.
        """
        try:
            self.ended = not await self._listing.read_on()
        except Exception as error:  # noqa: BLE001 - a user's hook or transport may raise anything
            return error
        return None

    def take_new_pages(self) -> list[PageRead]:
        """Return the pages that were read since this was last called."""
        new = self.pages[self._taken :]
        self._taken = len(self.pages)
        return new
