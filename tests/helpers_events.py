"""What the tests of events share: a listener that holds each event against the table of events."""

from __future__ import annotations

from typing import Any

from vpsorg_async import Event
from vpsorg_async._event_kinds import EVENTS


_TYPES: dict[str, Any] = {"bool": bool, "float": float, "int": int, "str": str, "None": type(None)}


class Heard:
    """An `on_event` that refuses an event which is not as the table of events says."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.wrong: list[str] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        fields = EVENTS[event.name].fields
        if [*event.fields] != [one.name for one in fields]:
            self.wrong.append(f"{event.name}: {[*event.fields]}")
        self.wrong += [
            f"{event.name}: {one.name}={event.fields[one.name]!r} is no {one.type}"
            for one in fields
            if not fits(event.fields[one.name], one.type)
        ]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def of(self, name: str) -> list[Any]:
        """Return the fields of each event of that name."""
        return [event.fields for event in self.events if event.name == name]

    def one(self, name: str) -> Any:
        [fields] = self.of(name)
        return fields

    def check(self) -> None:
        """Hold all events against the table, and each beginning against its end."""
        assert self.wrong == []
        for subject in ("call", "wait", "fleet"):
            begun = [fields[subject] for fields in self.of(f"{subject}.began")]
            assert sorted(begun) == sorted(fields[subject] for fields in self.of(f"{subject}.ended"))
            assert len(begun) == len(set(begun))
        for ended in self.of("call.ended"):
            again = [one["number"] for one in self.of("call.attempt") if one["call"] == ended["call"]]
            assert again == [*range(2, ended["attempts"] + 1)]


def fits(value: object, kind: str) -> bool:
    """Return whether *value* is of the type that the table says; an int is no bool, and a float may be an int."""
    types = [_TYPES[one] for one in kind.split(" | ")]
    if float in types:
        types.append(int)
    return type(value) in types
