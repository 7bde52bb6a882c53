"""Record one request that arrived at the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Call:
    """A request that arrived at the sandbox.

    Attributes:
        method: in capitals.
        path: relative to the base path, with both its slashes.
        query: the query; the last value of a repeated name.
        json: the body; `None` if it was empty or not JSON.
        headers: the headers, by their names in upper or lower case, without those that hold a token or password:
            `Authorization`, `Proxy-Authorization` and `Cookie`. A repr does not show them.
        status: the HTTP status of the response, even if a fault lost that response; 0 if a fault dropped the request
            before it was executed.
        at: the time of arrival, in sandbox seconds.
    """

    method: str
    path: str
    query: Mapping[str, str]
    json: Any
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    status: int
    at: float
