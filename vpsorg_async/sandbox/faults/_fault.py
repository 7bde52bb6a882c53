"""Define `Fault`: one thing that goes wrong, and the requests that it applies to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import attrs

from . import _kinds, _validators
from ._rule import Rule


def _optional(*validators: _validators.Validator) -> Any:
    return attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.and_(*validators)))


_TEXT = _validators.instance_of(str, "a str")


@attrs.frozen(kw_only=True)
class Fault:
    """Something that goes wrong with the requests that match its rule.

    There is a class method for each kind of fault. If several faults apply to one request, they take effect in this
    order, whatever the order in which they were added:

    1. `delay`: the result of the request arrives later.
    2. `drop()`: the request is not executed, and only delays take effect beside it.
    3. `status`: the response has this status, and the request is not executed.
    4. `end_in` and `stale`: change how the request is executed.
    5. `as_status`, `omit`, `loop`, or else `html`; then `bomb`: change the content of the response.
    6. `hang`, or else `drop(after_commit=True)`, or else `cut` and `drip`: change how the response is sent.

    Of two faults of the same kind, the last one added takes effect; several `delay`, `stale`, `as_status` or `omit`
    take effect one after another.

    Attributes:
        what: the kind of fault with its arguments.
        method: see `Rule`, also for the following attributes.
        path: see `Rule`.
        server_id: see `Rule`.
        times: see `Rule`.
        every: see `Rule`.
        probability: see `Rule`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument has an invalid value.
    """

    what: _kinds.What
    method: str | None = _optional(_TEXT, _validators.http_method)
    path: str | None = _optional(_TEXT, _validators.regular_expression)
    server_id: int | str | None = _optional(_validators.server_id)
    times: int | None = _optional(_validators.whole_number(1))
    every: int | None = _optional(_validators.whole_number(1))
    probability: float | None = _optional(_validators.number(), _validators.at_most_one)

    @classmethod
    def status(
        cls, code: int, body: Any = None, headers: Mapping[str, str | int] | None = None, **rule: Unpack[Rule]
    ) -> Fault:
        """Respond with the status *code* instead of executing the request.

        A *body* that is a `str` or `bytes` is sent unchanged, any other value as JSON; `None` sends a `detail` that
        names the status. *headers* are added to those of the sandbox, or replace them.
        """
        return cls(what=_kinds.Status.of(code, body, headers), **rule)

    @classmethod
    def drop(cls, after_commit: bool = False, **rule: Unpack[Rule]) -> Fault:  # noqa: FBT001, FBT002 -- fixed surface
        """Close the connection without a response: before the request is executed, or after it."""
        return cls(what=_kinds.Drop(after_commit), **rule)

    @classmethod
    def cut(cls, at: int, **rule: Unpack[Rule]) -> Fault:
        """Execute the request, and close the connection after *at* bytes of the response.

        The status line and the headers count.
        """
        return cls(what=_kinds.Cut(at), **rule)

    @classmethod
    def delay(cls, seconds: float, **rule: Unpack[Rule]) -> Fault:
        """Execute the request at once, and respond *seconds* sandbox seconds later."""
        return cls(what=_kinds.Delay(seconds), **rule)

    @classmethod
    def drip(cls, bytes_per_second: float, **rule: Unpack[Rule]) -> Fault:
        """Execute the request, and send the response at a rate in bytes per sandbox second."""
        return cls(what=_kinds.Drip(bytes_per_second), **rule)

    @classmethod
    def hang(cls, **rule: Unpack[Rule]) -> Fault:
        """Execute the request and never respond, until the client disconnects or the server ends."""
        return cls(what=_kinds.Hang(), **rule)

    @classmethod
    def stale(cls, seconds: float, **rule: Unpack[Rule]) -> Fault:
        """Let a GET show the state of *seconds* ago.

        A server that did not exist then is 404 and not listed.
        """
        return cls(what=_kinds.Stale(seconds), **rule)

    @classmethod
    def omit(cls, count: int, **rule: Unpack[Rule]) -> Fault:
        """Leave *count* items out of the page of a list.

        The seed chooses them. The `count` of the page is unchanged.
        """
        return cls(what=_kinds.Omit(count), **rule)

    @classmethod
    def loop(cls, **rule: Unpack[Rule]) -> Fault:
        """Let `next` of the last page of a list point to the first page."""
        return cls(what=_kinds.Loop(), **rule)

    @classmethod
    def as_status(cls, text: str, **rule: Unpack[Rule]) -> Fault:
        """Let a GET show servers with the status *text*; filters still use the real status."""
        return cls(what=_kinds.AsStatus(text), **rule)

    @classmethod
    def html(cls, **rule: Unpack[Rule]) -> Fault:
        """Send an HTML page instead of JSON, with the same status.

        200 replaces a status that allows no body.
        """
        return cls(what=_kinds.Html(), **rule)

    @classmethod
    def bomb(cls, megabytes: int, **rule: Unpack[Rule]) -> Fault:
        """Send the response as gzip, followed by *megabytes* (of 2**20 bytes) of spaces.

        They take about a thousandth of that on the wire.
        """
        return cls(what=_kinds.Bomb(megabytes), **rule)

    @classmethod
    def end_in(cls, status: str, **rule: Unpack[Rule]) -> Fault:
        """Let a create, start, stop or reboot end in another *status*, one of the seven."""
        return cls(what=_kinds.EndIn(status), **rule)
