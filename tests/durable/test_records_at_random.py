"""What a store keeps comes back as it went, and has no word of a response in it."""

from __future__ import annotations

import json
import re

from typing import Any

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.durable import parts
from tests.durable.parts import arguments, errors_by_the_api, intents, items, names, outcomes
from vpsorg_async import InvalidArgumentError, NotFoundError, OutcomeUnknownError
from vpsorg_async._fleet.report import Outcome, carried_of
from vpsorg_async.durable._records import (
    Intent,
    ItemRecord,
    RunRecord,
    checked_name,
    digest_of,
    dump_error,
    dump_outcome,
    load_outcome,
    text_of,
)


runs = st.builds(
    RunRecord,
    action=st.sampled_from(["create", "reboot"]),
    arguments=arguments,
    per_second=st.none() | st.floats(0.1, 99),
    count=st.integers(0, 10**6),
    digest=parts.texts,
)
item_records = st.builds(
    ItemRecord,
    run=names,
    index=st.integers(0, 10**6),
    action=st.sampled_from(["create", "start"]),
    arguments=arguments,
    item=items,
)


def through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


@given(runs)
def test_a_run_comes_back_from_json_as_it_went(run):
    back = RunRecord.from_dict(through_json(run.to_dict()))

    assert back == run
    assert back.differences(run) == run.differences(back) == []


@given(item_records)
def test_an_item_comes_back_from_json_as_it_went(record):
    assert ItemRecord.from_dict(through_json(record.to_dict())) == record


@given(intents)
def test_an_intent_comes_back_from_json_as_it_went(intent):
    assert Intent.from_dict(through_json(intent.to_dict())) == intent


@given(outcomes)
def test_an_outcome_comes_back_with_all_that_is_kept_of_it(outcome):
    back = load_outcome(outcome.index, outcome.item, through_json(dump_outcome(outcome)))

    for name in ("index", "item", "state", "accepted", "began_at", "ended_at"):
        assert getattr(back, name) == getattr(outcome, name)
    assert carried_of(back) == carried_of(outcome)
    assert (back.error is None) == (outcome.error is None)
    if outcome.server is None:
        assert back.server is None
    else:
        for name in ("id", "name", "status"):
            assert getattr(back.server, name) == getattr(outcome.server, name)
        assert (back.server.hostname, back.server.extra) == (None, {})


@given(outcomes)
def test_an_outcome_that_was_read_is_written_as_it_was(outcome):
    """What a later process writes again does not grow."""
    back = load_outcome(outcome.index, outcome.item, through_json(dump_outcome(outcome)))
    again = load_outcome(outcome.index, outcome.item, through_json(dump_outcome(back)))

    assert type(again.error) is type(back.error)
    assert again.server == back.server


@given(errors_by_the_api)
def test_no_text_has_a_word_of_a_response(error):
    """Messages, fields, bodies, headers and reason phrases, also of causes, stay out of the store."""
    kept = json.dumps(dump_error(error))

    assert "zq" not in text_of(error)
    assert "zq" not in kept
    assert text_of(error)


@given(errors_by_the_api)
def test_an_error_keeps_its_class_and_its_status(error):
    outcome = Outcome(index=0, item=7, state="failed", error=error)

    back = load_outcome(0, 7, through_json(dump_outcome(outcome))).error

    if type(error).__module__.startswith("vpsorg_async"):
        assert type(back) is type(error)
        assert getattr(back, "status_code", None) == getattr(error, "status_code", None)
    else:
        assert str(back) == f"{type(error).__name__}: its text is not kept"


def test_the_text_tells_what_the_request_was_and_how_it_was_answered():
    error = NotFoundError("x", status_code=404, request_summary="GET /servers/7/", request_id="r1")

    assert text_of(error) == "GET /servers/7/ was answered 404"
    assert (dump_error(error) or {})["request_id"] == "r1"


def test_the_text_of_an_unknown_outcome_tells_its_cause():
    error = OutcomeUnknownError("x", candidates=[])
    error.__cause__ = NotFoundError("y", status_code=404, request_summary="GET /servers/")

    assert text_of(error).endswith("; GET /servers/ was answered 404")


def test_what_this_library_refuses_is_kept_in_its_own_words():
    assert text_of(InvalidArgumentError("name='a b': give letters")) == "name='a b': give letters"
    assert len(text_of(InvalidArgumentError("a" * 10_000))) <= 500


@given(names)
def test_each_name_of_the_documented_form_is_taken(name):
    assert checked_name(name) == name


@given(st.text(max_size=120))
def test_no_other_name_is_taken(name):
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        assert checked_name(name) == name
    else:
        with pytest.raises(InvalidArgumentError, match="give 1 to 100 letters"):
            checked_name(name)


@pytest.mark.parametrize("name", ["", "a/b", "a\n", "ä", "-a", "a b", "a" * 101, "a%"])
def test_a_name_that_would_not_be_a_part_of_an_id_is_refused(name):
    with pytest.raises(InvalidArgumentError):
        checked_name(name)


@pytest.mark.parametrize("name", [None, 7, b"web"])
def test_a_name_is_a_text(name):
    with pytest.raises(TypeError):
        checked_name(name)


@given(st.lists(items, max_size=4), st.lists(items, max_size=4))
def test_two_runs_have_one_digest_if_their_items_are_the_same(first, second):
    first_kept, second_kept = ([parts.item_record(item).to_dict() for item in given] for given in (first, second))

    assert (digest_of(first) == digest_of(second)) is (first_kept == second_kept)


@given(runs, runs)
def test_differences_name_what_differs(one, other):
    found = one.differences(other)

    assert ("items" in found) is (one.digest != other.digest)
    assert ("per_second" in found) is (one.per_second != other.per_second)
    assert ("action" in found) is (one.action != other.action)
    for name in ("at_once", "timeout", "poll", "stop_on"):
        assert (name in found) is (getattr(one.arguments, name) != getattr(other.arguments, name))


@given(runs, st.sampled_from(["wait", "if_needed"]))
def test_an_argument_that_only_one_of_two_runs_has_is_a_difference(run, name):
    without = {key: value for key, value in run.arguments.own.items() if key != name}
    has, lacks = (
        attrs.evolve(run, arguments=attrs.evolve(run.arguments, own=own))
        for own in (
            {**without, name: True},
            without,
        )
    )

    assert has.differences(lacks) == lacks.differences(has) == [name]


@pytest.mark.parametrize("read", [RunRecord.from_dict, ItemRecord.from_dict], ids=["run", "item"])
@pytest.mark.parametrize("data", [{}, {"version": 2}, {"version": True}, [], None, "web"])
def test_what_another_version_has_written_is_refused(read, data):
    with pytest.raises(InvalidArgumentError):
        read(data)
