"""Reads the list for a poll, and keeps the pages that were read when another task goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._errors import VPSError
from .._pagination import Listing


if TYPE_CHECKING:
    from .._page_plan import PageRead
    from .._pagination import Known, Pager
    from .._request.call import CallOptions


class ListPoll:
    """One reading of the whole list. A `read` that failed or was cancelled may be followed by another one."""

    def __init__(self, pager: Pager, options: CallOptions, *, known: Known) -> None:
        self.pages: list[PageRead] = []
        # Pages that the last `read` has added begin here.
        self._read_before = 0
        # A list that changes while it is read is not read again: the next poll reads it.
        self._listing = Listing(pager, {}, options, skip_invalid=True, on_page=self.pages.append, passes=1, known=known)

    async def read(self) -> VPSError | None:
        """Request the pages that are missing, and return how that failed, or `None`.

        Cancellation: the pages that have come are kept.
        """
        self._read_before = len(self.pages)
        try:
            await self._listing.read_all()
        except VPSError as error:
            return error
        return None

    @property
    def new_pages(self) -> list[PageRead]:
        """The pages that the last `read` has added."""
        return self.pages[self._read_before :]
