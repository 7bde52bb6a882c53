"""Record one request that arrived at the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs


if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen(kw_only=True)
class Call:
    """A request that arrived at the sandbox.

    Attributes:
        method: in capitals.
        path: relative to the base path, with both its slashes.
        query: the query; the last value of a repeated name.
        json: the body; `None` if it was empty or not JSON.
        status: the HTTP status of the response, even if a fault lost that response; 0 if a fault dropped the request
            before it was executed.
        at: the time of arrival, in sandbox seconds.
    """

    method: str
    path: str
    query: Mapping[str, str]
    json: Any
    status: int
    at: float
