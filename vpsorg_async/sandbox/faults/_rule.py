"""Define the rule that all kinds of fault share: which requests a fault applies to, and when."""

from __future__ import annotations

from typing import TypedDict


class Rule(TypedDict, total=False):
    """The requests that a fault applies to, and how often.

    Every `Fault` accepts these keywords. All that are given must hold.

    Attributes:
        method: the HTTP method.
        path: a regular expression that is searched in the path after the base path: `/servers/`, `/servers/7/start/`.
        server_id: the server that the path names, by id or UUID. `stale`, `as_status` and `omit` also find the server
            in lists, and leave the other servers there unchanged.
        times: the highest number of requests that the fault is applied to.
        every: 3 means each third of the requests that match the conditions above and the kind of fault.
        probability: how likely the fault is for each request, from 0 to 1. The seed of the sandbox decides: the same
            requests in the same order get the same faults on every run.
    """

    method: str | None
    path: str | None
    server_id: int | str | None
    times: int | None
    every: int | None
    probability: float | None
