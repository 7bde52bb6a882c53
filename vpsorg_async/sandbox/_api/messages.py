"""Hold a request that has passed authentication, and the response to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs


if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._state.account import Account, Server
    from .._state.backend import Access


@attrs.frozen(kw_only=True)
class ApiRequest:
    """A request that has passed authentication.

    Attributes:
        access: the rights of its token.
        account: the account of its token, as faults show it.
        now: the time, in sandbox seconds.
        url: without the query.
        query: the query parameters.
        server_id: the id or UUID of a server in the path; empty if the path has none.
        plan_id: the same of a plan.
        body: the raw body.
        headers: only those that decide the dialect, by their names in lower case.
        ends_in: the status in which a command must end; `None` means the documented one.
    """

    access: Access
    account: Account
    now: float
    url: str
    query: Mapping[str, str]
    server_id: str
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    ends_in: str | None = None
    plan_id: str = ""

    @property
    def server(self) -> Server:
        """The server that the path names; refuses with 404."""
        return self.account.server(self.server_id, self.now)


@attrs.frozen
class ApiResponse:
    """A status, and a body that is JSON or empty (`None`)."""

    status: int
    body: dict[str, Any] | list[Any] | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
