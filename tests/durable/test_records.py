"""Turns records into JSON and back."""

from __future__ import annotations

import json

from datetime import UTC, datetime

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import (
    APIConnectionError,
    BadRequestError,
    InvalidArgumentError,
    OutcomeUnknownError,
    PollPolicy,
    ResponseError,
    ServerSpec,
    WaitTimeoutError,
)
from vpsorg_async._fleet.report_data import Carried
from vpsorg_async.durable._given import Given, run_options
from vpsorg_async.durable._records import (
    NOT_SENT,
    Intent,
    ItemRecord,
    RunRecord,
    checked_name,
    digest_of,
    newest_of,
    text_of,
)


WORDS = "what the API says"
SPECS = st.builds(
    ServerSpec,
    name=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
    plan_id=st.integers(1, 9),
    os_id=st.integers(1, 9),
    location=st.sampled_from(["us-west", "us-east"]),
    backups_enabled=st.booleans(),
)
ITEMS = st.lists(SPECS, max_size=4) | st.lists(st.integers(1, 10**9) | st.uuids().map(str), max_size=4)


def a_run(items, *, action="create", at_once=20, per_second=None, wait=True):
    options = run_options(at_once, 900.0, PollPolicy(), ())
    return Given(action, items, {"wait": wait}, options, per_second)


def through_json(data):
    return json.loads(json.dumps(data))


@given(ITEMS, st.integers(1, 50), st.none() | st.floats(0.1, 100.0), st.booleans())
def test_a_run_and_its_items_come_back_as_they_were(items, at_once, per_second, wait):
    mine = a_run(items, at_once=at_once, per_second=per_second, wait=wait)
    record, kept = mine.record(), list(mine.items_of("web"))

    assert RunRecord.from_dict(through_json(record.to_dict())) == record
    assert [ItemRecord.from_dict(through_json(item.to_dict())) for item in kept] == kept
    assert record.differences(record) == []


@given(ITEMS, ITEMS)
def test_runs_of_other_items_have_other_digests(some, others):
    assert (digest_of(some) == digest_of(others)) == (some == others)


def test_servers_are_the_same_however_their_ids_are_spelled():
    uuid = "0B9E8E5C-5B1F-4B9E-8F5A-0D2C3E4F5A6B"

    assert digest_of([7, 8, uuid]) == digest_of(["7", "08", uuid.lower()])
    assert digest_of([7, 8]) != digest_of([8, 7])


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"items": [1, 3]}, ["items"]),
        ({"at_once": 5}, ["at_once"]),
        ({"per_second": 2.0}, ["per_second"]),
        ({"wait": False}, ["wait"]),
        ({"action": "stop"}, ["action"]),
    ],
)
def test_the_arguments_that_differ_are_named(changes, differences):
    given = {"items": [1, 2], "action": "start", **changes}

    assert a_run([1, 2], action="start").record().differences(a_run(**given).record()) == differences


def test_a_later_version_is_refused():
    data = a_run([1]).record().to_dict()

    with pytest.raises(InvalidArgumentError):
        RunRecord.from_dict({**data, "version": data["version"] + 1})


def test_an_intent_comes_back_as_it_was():
    intent = Intent(boot="b", began_at=datetime(2026, 1, 2, tzinfo=UTC), carried=Carried())

    assert Intent.from_dict(through_json(intent.to_dict())) == intent


def test_of_an_item_that_was_begun_anew_only_the_last_steps_count():
    """D1: what was not sent is nobody's doubt, and the note that came after it is."""
    not_sent, done = {"state": NOT_SENT}, {"state": "succeeded"}

    assert newest_of([("intent", {"boot": "a"}), ("command", not_sent)]) == {}
    assert newest_of([("intent", {"boot": "a"}), ("command", not_sent), ("intent", {"boot": "b"})]) == {
        "intent": {"boot": "b"}
    }
    assert newest_of([("intent", {"boot": "a"}), ("command", done)]) == {"intent": {"boot": "a"}, "command": done}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (BadRequestError(WORDS), "was answered"),
        (ResponseError(WORDS), "not what the API documents"),
        (OutcomeUnknownError(WORDS, candidates=()), "may have accepted it"),
        (WaitTimeoutError(WORDS), "the time for the wait was over"),
        (APIConnectionError(WORDS), "the request"),
        (RuntimeError(WORDS), "RuntimeError"),
    ],
)
def test_a_text_of_an_error_has_no_words_of_the_api(error, text):
    assert text in text_of(error)
    assert WORDS not in text_of(error)


@pytest.mark.parametrize("name", ["", "a/b", " a", "a" * 101, "-a", "ä"])
def test_a_name_of_a_run_has_few_characters(name):
    with pytest.raises(InvalidArgumentError) as caught:
        checked_name(name)

    assert "name=" in str(caught.value)
