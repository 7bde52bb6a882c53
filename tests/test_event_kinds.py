"""The table of events says the same as the docstring and the logger."""

from __future__ import annotations

import inspect
import logging
import re

import pytest

from tests.helpers_events import fits
from vpsorg_async import Event
from vpsorg_async._event_kinds import EVENTS, Field, table


def told_in_the_docstring() -> dict[str, list[str]]:
    """Return the fields of each event by the docstring of `Event`, "the same" being those of the first."""
    found: dict[str, list[str]] = {}
    for name, text in re.findall(r"^- `([\w.]+)`: ((?:.|\n  )+)$", inspect.getdoc(Event) or "", re.MULTILINE):
        fields = re.findall(r"`(\w+)`", text)
        found[name] = [*found["call.began"], *fields] if text.startswith("the same") else fields
    return found


def test_the_docstring_names_each_event_with_its_fields():
    assert told_in_the_docstring() == {name: [one.name for one in kind.fields] for name, kind in EVENTS.items()}


@pytest.mark.parametrize("name", EVENTS)
def test_each_field_of_an_event_has_one_type_and_a_meaning(name):
    names = [one.name for one in EVENTS[name].fields]

    assert len(names) == len(set(names))
    assert all(one.meaning.endswith(".") for one in EVENTS[name].fields)
    assert EVENTS[name].when.endswith(".")


def test_what_somebody_must_look_for_is_a_warning_and_what_is_no_routine_is_info():
    assert [name for name, kind in EVENTS.items() if kind.level == logging.WARNING] == ["create.abandoned"]
    assert [name for name, kind in EVENTS.items() if kind.level == logging.INFO] == [
        "call.attempt",
        "call.paused",
        "watch.failed",
        "create.reconciled",
    ]


def test_the_table_has_a_row_for_each_event_and_each_field():
    rows = table().splitlines()

    assert len(rows) == 2 + len(EVENTS) + sum(len(kind.fields) for kind in EVENTS.values())
    assert "| | `status` | `int \\| None` | The HTTP status of the last attempt. `None`: it got no response. |" in rows
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)


@pytest.mark.parametrize(
    ("value", "kind", "holds"),
    [(1, "int", True), (True, "int", False), (None, "int | None", True), (1, "float", True), ("a", "float", False)],
)
def test_what_a_type_in_the_table_means(value, kind, holds):
    assert fits(value, kind) is holds


def test_fields_are_data():
    assert Field("call", "int", "The call.") == Field("call", "int", "The call.")
