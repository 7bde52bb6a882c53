"""Reports what became of each item of a fleet. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, overload

import attrs

from .._decoding import JSON
from .._error_base import InvalidArgumentError
from .._errors import VPSError, picklable
from .._models import Server, ServerSpec
from .._public import publish
from .._schemas import Described, describe
from . import report_data
from .report_data import Carried, RunArguments
from .states import BAD, STATES, OutcomeState


Item: TypeAlias = Server | int | str | ServerSpec
"""The item that an outcome is about, as it was given."""

_LINES = 20
"""A printed report names at most so many items that did not succeed."""

_LINE = 400
"""The longest line of a printed report, in characters. A function given to `apply` may raise any text."""

_ADVICE: dict[OutcomeState, str] = {
    "pending": "pending: the API accepted the command, and how it ended is not known. Wait; do not send it again.",
    "unknown": "unknown: the API may have accepted the command. Look at the server before you send it again.",
}


@attrs.frozen(kw_only=True, getstate_setstate=False)
class Outcome(Described):
    """The outcome of one item of a fleet.

    Attributes:
        index: the position of the item, from 0.
        item: the server, id or spec that was given.
        state: `"succeeded"`; `"failed"` (refused, not carried out, or accepted and known to have ended elsewhere);
            `"pending"` (accepted, and how it ended is not known: do not send the command again); `"unknown"` (the API
            may or may not have accepted the command); or `"skipped"` (never begun).
        server: the server as it was last seen, or `None` if it never was.
        value: the result of the call; for `apply` the result of the function.
        error: the reason why the item did not succeed; `None` for a skipped item.
        accepted: whether the API is known to have accepted the item's command.
        began_at: when the item began, in UTC, or `None` if it was not begun.
        ended_at: when the item ended, in UTC, or `None` if it has not.
    """

    index: int
    item: Item
    state: OutcomeState
    server: Server | None = None
    value: Any = None
    error: Exception | None = None
    accepted: bool = False
    began_at: datetime | None = None
    ended_at: datetime | None = None
    # Typed as Any, so that frameworks that read the types of attrs classes need not know it.
    _carried: Any = attrs.field(default=None, alias="carried", eq=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        state = {field.name: getattr(self, field.name) for field in attrs.fields(Outcome)}
        # The error may be of any class: a function given to `apply` raised it.
        return {**state, "error": picklable(self.error)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def _to_dict(self) -> dict[str, Any]:
        return {
            "item": report_data.dump_item(self.item),
            "state": self.state,
            "server": None if self.server is None else report_data.dump_server(self.server),
            "value": report_data.dump_value(self.value),
            "error": report_data.dump_error(self.error),
            "accepted": self.accepted,
            "began_at": report_data.written(self.began_at),
            "ended_at": report_data.written(self.ended_at),
            "carried": None if self._carried is None else self._carried.to_dict(),
        }

    def _to_answer(self) -> dict[str, Any]:
        return {"index": self.index, **self._to_dict()}

    @classmethod
    def _from_answer(cls, data: object) -> Outcome:
        index = report_data.an_object("an outcome", data).get("index")
        return cls._from_dict(report_data.a_whole_number("index", index), data)

    @classmethod
    def _from_dict(cls, index: int, data: object) -> Outcome:
        given = report_data.an_object(f"outcome {index}", data)
        state = report_data.a_text("state", given.get("state"))
        if state not in STATES:
            raise InvalidArgumentError(f"these are no data of a report: outcome {index} has none of its states")
        server, carried = given.get("server"), given.get("carried")
        return cls(
            index=index,
            item=report_data.load_item(given.get("item")),
            state=state,
            server=None if server is None else report_data.load_server(server),
            value=report_data.load_value(given.get("value")),
            error=report_data.load_error(given.get("error")),
            accepted=report_data.a_flag("accepted", given.get("accepted")),
            began_at=report_data.a_moment("began_at", given.get("began_at")),
            ended_at=report_data.a_moment("ended_at", given.get("ended_at")),
            carried=None if carried is None else Carried.from_dict(carried),
        )

    def __str__(self) -> str:
        told = f"{_called(self.item)}: {self.state}"
        return _in_a_line(told if self.error is None else f"{told}: {_told_of(self.error)}")


@attrs.frozen(kw_only=True)
class Progress(Described):
    """How far a run has come, in numbers of items. An item that is begun and has not ended is in progress.

    Attributes:
        total: all items.
        begun: the items that were begun, ended or not.
        succeeded: the items that reached their goal.
        failed: the items that did not.
        pending: the items that ended after the API accepted their command, and before its end was known.
        unknown: the items that ended, and whose command the API may or may not have accepted.
        skipped: the items that will not be begun any more; 0 while they may be.
    """

    total: int
    begun: int
    succeeded: int
    failed: int
    pending: int
    unknown: int
    skipped: int


@attrs.frozen(kw_only=True, getstate_setstate=False)
class FleetReport(Described, Sequence[Outcome]):
    """The outcomes of all items of a fleet, as a sequence in the order given.

    Attributes:
        action: what was done: `"create"`, `"ensure"`, `"start"`, `"stop"`, `"reboot"`, `"delete"`, `"update"`,
            `"wait_until"` or `"apply"`.
        outcomes: one outcome for each item.
        stopped_by: the error after which the run began no further item, or `None`.
    """

    action: str
    outcomes: tuple[Outcome, ...]
    stopped_by: Exception | None = None
    # What a run that goes on needs: the arguments of this one, and the API's clock when the report was made. Typed as
    # Any, for the same reason.
    _arguments: Any = attrs.field(default=None, alias="arguments", eq=False, repr=False)
    _made_at: datetime | None = attrs.field(default=None, alias="made_at", eq=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data, from which `from_dict` makes the report again: in another process, or next week.

        They have no secrets. An error keeps its class, text, status and request id. `client.fleet.resume` goes on from
        such a report as well as from the run's own: the data have the arguments of the run, but no functions, and what
        was known of the servers before their commands. A result of `apply` that is no JSON is left out.
        """
        return {
            "version": report_data.VERSION,
            "action": self.action,
            "made_at": report_data.written(self._made_at),
            "arguments": None if self._arguments is None else self._arguments.to_dict(),
            "outcomes": [outcome._to_dict() for outcome in self.outcomes],  # noqa: SLF001 - the same module
            "stopped_by": report_data.dump_error(self.stopped_by),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FleetReport:
        """Read a report from what `to_dict` returned.

        Errors of this library have their class, and `None` in every attribute that was not kept. Any other error is a
        `RuntimeError` with the name of its class in its text. Nothing is imported or run.

        Raises:
            InvalidArgumentError: *data* are no data of a report, or of a version that this library does not know.
        """
        given = report_data.an_object("it", data)
        report_data.check_version(given.get("version"))
        outcomes: JSON | tuple[Any, ...] = given.get("outcomes")
        arguments = given.get("arguments")
        if not isinstance(outcomes, (list, tuple)):
            raise report_data.refused("outcomes", outcomes, "an array")
        return cls(
            action=report_data.a_text("action", given.get("action")),
            outcomes=tuple(Outcome._from_dict(*each) for each in enumerate(outcomes)),  # noqa: SLF001 - the same
            stopped_by=report_data.load_error(given.get("stopped_by")),
            arguments=None if arguments is None else RunArguments.from_dict(arguments),
            made_at=report_data.a_moment("made_at", given.get("made_at")),
        )

    @property
    def succeeded(self) -> tuple[Outcome, ...]:
        """The items that reached their goal."""
        return self._in_state("succeeded")

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The items that did not reach their goal. To repeat their commands is safe."""
        return self._in_state("failed")

    @property
    def pending(self) -> tuple[Outcome, ...]:
        """The items whose command the API accepted, and whose end is not known. Do not send the command again."""
        return self._in_state("pending")

    @property
    def unknown(self) -> tuple[Outcome, ...]:
        """The items whose command may or may not have been accepted. Check them before you repeat the command."""
        return self._in_state("unknown")

    @property
    def skipped(self) -> tuple[Outcome, ...]:
        """The items that were never begun."""
        return self._in_state("skipped")

    def raise_for_failures(self) -> None:
        """Return if every item succeeded or was skipped.

        Raises:
            ExceptionGroup: the errors of the failed, pending and unknown items, in the order of the items.
        """
        errors = [outcome.error for outcome in self if outcome.state in BAD and outcome.error is not None]
        if errors:
            told = f"{len(errors)} of {len(self)} items failed, are pending or are unknown"
            raise ExceptionGroup(told, errors)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    @overload
    def __getitem__(self, index: int) -> Outcome: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Outcome, ...]: ...

    def __getitem__(self, index: int | slice) -> Outcome | tuple[Outcome, ...]:
        return self.outcomes[index]

    def __getstate__(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "outcomes": self.outcomes,
            "stopped_by": picklable(self.stopped_by),
            "_arguments": None if self._arguments is None else self._arguments.portable,
            "_made_at": self._made_at,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        counts = {state: len(self._in_state(state)) for state in STATES}
        told = ", ".join(f"{count} {state}" for state, count in counts.items())
        lines = [f"{self.action} of {len(self)} {'item' if len(self) == 1 else 'items'}: {told}"]
        if self.stopped_by is not None:
            lines.append(_in_a_line(f"stopped by: {_told_of(self.stopped_by)}"))
        bad = [outcome for outcome in self if outcome.state in BAD]
        lines += [f"  {outcome}" for outcome in bad[:_LINES]]
        if len(bad) > _LINES:
            lines.append(f"  … and {len(bad) - _LINES} more")
        return "\n".join([*lines, *[advice for state, advice in _ADVICE.items() if counts[state]]])

    def _in_state(self, state: str) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.state == state)


def carried_of(outcome: Outcome) -> Carried | None:
    """Return what a later run has to know of the command of an item that is pending or unknown."""
    carried: Carried | None = outcome._carried  # noqa: SLF001 - of this module's own class
    return carried


def arguments_of(report: FleetReport) -> RunArguments | None:
    """Return the arguments of the run; `None` for a report that no run has made."""
    arguments: RunArguments | None = report._arguments  # noqa: SLF001 - of this module's own class
    return arguments


def made_at(report: FleetReport) -> datetime | None:
    """Return when the report was made, by the API's clock; `None`: it is not known."""
    return report._made_at  # noqa: SLF001 - of this module's own class


def _called(item: Item) -> str:
    if isinstance(item, Server):
        return f"server {item.id} ({item.name})"
    return f"server {item.name!r}" if isinstance(item, ServerSpec) else f"server {item}"


def _told_of(error: Exception) -> str:
    # The text alone may say next to nothing: that of `KeyError("a")` is "'a'".
    text, name = str(error), type(error).__name__
    return text if isinstance(error, VPSError) else f"{name}: {text}" if text else name


def _in_a_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"


_ERROR: TypeAlias = dict[str, Any] | None
describe(
    Outcome,
    write=Outcome._to_answer,  # noqa: SLF001 - of this module's own class
    read=Outcome._from_answer,  # noqa: SLF001 - the same
    fields={
        "index": int,
        "item": dict[str, Any],
        "state": OutcomeState,
        "server": Server | None,
        "value": dict[str, Any] | None,
        "error": _ERROR,
        "accepted": bool,
        "began_at": datetime | None,
        "ended_at": datetime | None,
        "carried": dict[str, Any] | None,
    },
    # A report does not number its outcomes.
    required=("item", "state", "server", "value", "error", "accepted", "began_at", "ended_at", "carried"),
)
describe(
    FleetReport,
    write=FleetReport.to_dict,
    read=FleetReport.from_dict,
    fields={
        "version": int,
        "action": str,
        "made_at": datetime | None,
        "arguments": dict[str, Any] | None,
        "outcomes": list[Outcome],
        "stopped_by": _ERROR,
    },
    required=("version", "action", "made_at", "arguments", "outcomes", "stopped_by"),
)
publish(Outcome, Progress, FleetReport)
