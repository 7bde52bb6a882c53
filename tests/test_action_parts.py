"""An action in its JSON form: the same again from it, and nothing else is taken for one."""

from __future__ import annotations

import copy
import json
import pickle

from datetime import UTC, datetime

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import Action, InvalidArgumentError, ServerRef, ServerStatus
from vpsorg_async._action_parts import COMMANDS, HABITS, VERSION, Memory, remembered


MOMENTS = st.none() | st.datetimes(datetime(1970, 1, 2), datetime(9998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
TEXTS = st.text(max_size=20)
MEMORIES = st.builds(
    Memory,
    date=MOMENTS,
    said=st.sampled_from([*map(str, ServerStatus), ""]) | TEXTS,
    lost=st.booleans(),
    shown=st.booleans(),
    disturbed=st.booleans(),
    baseline=MOMENTS,
    settings=st.none() | st.tuples(st.none() | TEXTS, st.none() | TEXTS, st.none() | st.booleans()),
    old_transition=MOMENTS,
    newest=MOMENTS,
    habits=st.sets(st.sampled_from(HABITS)).map(lambda some: tuple(one for one in HABITS if one in some)),
)
ACTIONS = st.builds(
    lambda memory, **data: with_memory(Action(**data), memory),
    st.none() | MEMORIES,
    name=st.sampled_from(["", *COMMANDS]),
    status=TEXTS,
    message=TEXTS,
    server=st.builds(
        ServerRef,
        id=st.integers(0, 10**20) | st.uuids().map(str),
        name=TEXTS,
        status=st.sampled_from([*ServerStatus, "migrating", ""]),
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
_PLACES = [f"command.{field.name}" for field in attrs.fields(Memory)]
ACTION = Action(
    name="reboot", status="success", message="", server=ServerRef(id=7, name="web-01", status=ServerStatus.REBOOTING)
)


def with_memory(action, memory):
    return Action.from_dict({**action.to_dict(), "command": None if memory is None else memory.to_dict()})


def changed(place, value):
    """Return the data of an action with another value in one place."""
    data = with_memory(ACTION, Memory(settings=("a", None, True))).to_dict()
    *outer, last = place.split(".")
    inner = data
    for name in outer:
        inner = inner[name]
    inner[last] = value
    return data


class TestRoundTrip:
    def test_a_status_in_the_data_is_a_plain_string(self):
        """YAML and others refuse a member of an enum."""
        assert type(Memory(said=ServerStatus.REBOOTING).to_dict()["said"]) is str

    @given(ACTIONS)
    def test_it_is_the_same_again(self, action):
        """By JSON, by a pickle and by a copy: its data, and what was known of the server."""
        for again in (
            Action.from_dict(json.loads(json.dumps(action.to_dict()))),
            pickle.loads(pickle.dumps(action)),
            copy.deepcopy(action),
        ):
            assert again == action
            assert remembered(again) == remembered(action)
            assert again.to_dict() == action.to_dict()

    @given(MEMORIES)
    def test_nothing_that_was_known_is_lost(self, memory):
        assert Memory.from_dict(json.loads(json.dumps(memory.to_dict()))) == memory

    def test_it_says_which_version_it_is(self):
        assert ACTION.to_dict() == {
            "version": VERSION,
            "name": "reboot",
            "status": "success",
            "message": "",
            "server": {"id": 7, "name": "web-01", "status": "rebooting"},
            "command": None,
        }

    def test_a_status_of_the_seven_is_a_member_again(self):
        assert type(Action.from_dict(ACTION.to_dict()).server.status) is ServerStatus

    def test_what_a_later_version_may_add_is_passed_over(self):
        data = changed("command.more", 1)

        assert Action.from_dict({**data, "more": 1}) == ACTION

    @pytest.mark.parametrize("name", [field.name for field in attrs.fields(Memory)])
    def test_what_an_earlier_version_did_not_have_has_its_default(self, name):
        data = changed("message", "")
        del data["command"][name]

        assert getattr(remembered(Action.from_dict(data)), name) == getattr(Memory(), name)


class TestRefusal:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (7, "it is a number, not an object"),
            ([], "it is an array, not an object"),
            ({}, "version is null, not a number"),
            ({"id": 7, "name": "web-01", "status": "active"}, "version is null, not a number"),
            (changed("version", True), "version is a boolean, not a number"),
            (changed("version", "1"), "version is a string, not a number"),
            (changed("name", "delete"), "name='delete'"),
            (changed("name", None), "name is null, not a string"),
            (changed("status", 7), "status is a number, not a string"),
            (changed("message", ["a"]), "message is an array, not a string"),
            (changed("server", None), "server is null, not an object"),
            (changed("server.id", None), "server.id is null, not an id"),
            (changed("server.id", True), "server.id is a boolean, not an id"),
            (changed("server.name", 7), "server.name is a number, not a string"),
            (changed("server.status", None), "server.status is null, not a string"),
            (changed("command", "x"), "command is a string, not an object"),
            (changed("command.date", "noon"), "command.date is a string, not an ISO 8601 time or null"),
            (changed("command.baseline", 7), "command.baseline is a number, not an ISO 8601 time or null"),
            (changed("command.said", None), "command.said is null, not a string"),
            (changed("command.lost", 0), "command.lost is a number, not a boolean"),
            (changed("command.settings", ["a"]), "command.settings is an array, not a name, a hostname and a boolean"),
            (changed("command.habits", ["sleeps"]), "command.habits is an array, not an array of some of moves"),
            (changed("command.habits", "moves"), "command.habits is a string, not an array of some of moves"),
        ],
    )
    def test_other_data_are_refused_with_words(self, data, words):
        with pytest.raises(InvalidArgumentError) as caught:
            Action.from_dict(data)

        assert str(caught.value).startswith(f"these are no data of an action: {words}")

    def test_an_id_that_leaves_the_path_is_refused(self):
        with pytest.raises(InvalidArgumentError, match=r"^server_id='1/\.\./2' is no server's id"):
            Action.from_dict(changed("server.id", "1/../2"))

    def test_a_version_that_is_not_known_is_refused(self):
        with pytest.raises(InvalidArgumentError, match=r"^these data of an action are not of version 1: read them"):
            Action.from_dict(changed("version", 2))

    @given(st.sampled_from(["version", "name", "server", "server.id", "command", *_PLACES]), JSON)
    def test_no_value_makes_it_fail_otherwise(self, place, value):
        try:
            action = Action.from_dict(changed(place, value))
        except InvalidArgumentError:
            return
        assert Action.from_dict(action.to_dict()) == action
