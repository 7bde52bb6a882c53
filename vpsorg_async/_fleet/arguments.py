"""Checks the arguments of fleets and their runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from .._checks import checked_seconds, is_iterable
from .._endpoints import spec_body
from .._error_base import InvalidArgumentError
from .._errors import AuthenticationError, InsufficientCreditsError, PermissionDeniedError
from .._models import Server, ServerSpec, checked_id
from .._polling.goals import checked_poll
from .._unawaited import Unawaited
from .report import Outcome, Progress
from .report_data import RunArguments


if TYPE_CHECKING:
    from .._policies import PollPolicy

OnOutcome: TypeAlias = Callable[[Outcome], Awaitable[object] | object]
OnProgress: TypeAlias = Callable[[Progress], Awaitable[object] | object]
StopOn: TypeAlias = type[Exception] | Iterable[type[Exception]]

STOP_ON = (AuthenticationError, InsufficientCreditsError, PermissionDeniedError)
"""After one of these errors, every further item would fail too."""


def _several(argument: str, given: object, what: str) -> list[Any]:
    if isinstance(given, Unawaited):
        # The error says what to do, so no warning has to.
        given._begin()  # noqa: SLF001 - a part of this library
    if isinstance(given, (str, bytes, Server, ServerSpec)) or not is_iterable(given):
        raise TypeError(f"{argument} takes several {what}, not {type(given).__name__}: give a list, or await one first")
    return list(given)


def checked_items(given: object, key_of: Callable[[int | str], str]) -> list[Server | int | str]:
    """Return the servers and ids of a fleet. *key_of* returns the one key of a server that has several ids.

    Raises:
        TypeError: *given* is not several, or something in it is neither a server nor an id.
        InvalidArgumentError: an id cannot be one, or a server is given twice.
    """
    items = _several("fleet()", given, "servers or ids")
    seen: set[str] = set()
    for item in items:
        keys = _keys_of(item, key_of)
        if not seen.isdisjoint(keys):
            raise InvalidArgumentError(f"server {keys[0]} is there twice: give each server once")
        seen.update(keys)
    return items


def _keys_of(item: Server | int | str, key_of: Callable[[int | str], str]) -> list[str]:
    """Return the key of an item's id, and that of its UUID if the item shows both."""
    keys = [key_of(checked_id(item))]
    uuid = item.extra.get("uuid") if isinstance(item, Server) else None
    return [*keys, key_of(uuid)] if isinstance(uuid, str) else keys


def checked_specs(given: object, method: str = "fleet.create()") -> list[ServerSpec]:
    """Return the specs of a fleet of creates, as *method* takes them.

    Raises:
        TypeError: *given* is not several, or something in it is not a `ServerSpec` or has a value of a wrong type.
        InvalidArgumentError: a spec cannot be created, or two specs have one name.
    """
    specs = _several(method, given, "ServerSpecs")
    names: set[str] = set()
    for spec in specs:
        if not isinstance(spec, ServerSpec):
            raise TypeError(f"{method} takes ServerSpecs, not {spec!r}")
        spec_body(spec)
        if spec.name in names:
            raise InvalidArgumentError(
                f"two specs have the name {spec.name!r}: a lost response could not be told from the other's"
            )
        names.add(spec.name)
    return specs


def checked_at_once(value: int) -> int:
    """Return how many items may be in progress together.

    Raises:
        TypeError: the value is not a whole number.
        InvalidArgumentError: the value is less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"at_once takes a whole number, not {value!r}")
    if value < 1:
        raise InvalidArgumentError(f"at_once={value}: give 1 or more")
    return value


def checked_tolerate(value: float | None) -> float | None:
    """Return how many items may end badly: an int counts them, a float is a share of all, `None` is any number.

    Raises:
        TypeError: the value is none of these.
        InvalidArgumentError: the value is negative, or a share greater than 1.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"tolerate takes a number of items (int), a share of them (float) or None, not {value!r}")
    if isinstance(value, float) and not 0 <= value <= 1:
        raise InvalidArgumentError(f"tolerate={value!r} is a share of all items: give 0.0 to 1.0, or an int to count")
    if value < 0:
        raise InvalidArgumentError(f"tolerate={value!r}: give 0 or more")
    return value


def checked_stop_on(value: StopOn) -> tuple[type[Exception], ...]:
    """Return the errors that stop a run.

    Raises:
        TypeError: the value is neither a class of exceptions nor several of them.
    """
    several = (value,) if isinstance(value, type) else value
    if isinstance(several, (str, bytes)) or not isinstance(several, Iterable):
        raise TypeError(f"stop_on takes classes of exceptions, or () for none, not {value!r}")
    kinds = tuple(several)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"stop_on takes classes of exceptions, such as NotFoundError, not {kind!r}")
    return kinds


def checked_callable(name: str, value: Any) -> Any:
    """Return a function that a user gave, or `None`.

    Raises:
        TypeError: the value cannot be called.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function, plain or async, not {value!r}")
    return value


def _checked_timeout(value: float | None) -> float | None:
    return checked_seconds("timeout", value)


def _checked_on_outcome(value: OnOutcome | None) -> OnOutcome | None:
    checked: OnOutcome | None = checked_callable("on_outcome", value)
    return checked


def _checked_progress(value: OnProgress | None) -> OnProgress | None:
    checked: OnProgress | None = checked_callable("progress", value)
    return checked


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RunOptions:
    """The arguments of every run, checked; see `Fleet`."""

    at_once: int = attrs.field(converter=checked_at_once)
    tolerate: float | None = attrs.field(converter=checked_tolerate)
    timeout: float | None = attrs.field(converter=_checked_timeout)
    on_outcome: OnOutcome | None = attrs.field(converter=_checked_on_outcome)
    progress: OnProgress | None = attrs.field(converter=_checked_progress)
    poll: PollPolicy = attrs.field(converter=checked_poll)
    stop_on: tuple[type[Exception], ...] = attrs.field(converter=checked_stop_on)

    def kept(self, own: Mapping[str, Any]) -> RunArguments:
        """Return them as a report keeps them, with those of its action, *own*."""
        return RunArguments(
            own=own,
            at_once=self.at_once,
            tolerate=self.tolerate,
            timeout=self.timeout,
            poll=self.poll,
            stop_on=self.stop_on,
        )
