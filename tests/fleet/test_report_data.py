"""Reports as JSON: there and back with hypothesis, and what is no report."""

from __future__ import annotations

import copy
import datetime as dt
import json

from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail
from tests.helpers_fleet import ended, report_of
from vpsorg_async import (
    Action,
    APIStatusError,
    FleetReport,
    InvalidArgumentError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    PollPolicy,
    Server,
    ServerRef,
    ServerSpec,
    VPSError,
    _errors,
)
from vpsorg_async._action_parts import Memory
from vpsorg_async._fleet.report_data import Carried, RunArguments
from vpsorg_async._fleet.states import STATES


SERVER = Server.from_dict(detail())
ACTION = Action(name="reboot", status="success", message="m", server=ServerRef(id=7, name="a", status="rebooting"))

moments = st.none() | st.datetimes(timezones=st.just(dt.UTC))
texts = st.text(max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=8,
)
items = (
    st.integers(0, 10**20)
    | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,9}", fullmatch=True)
    | st.just(SERVER)
    | st.builds(ServerSpec, name=texts, plan_id=st.integers() | texts, os_id=st.integers(), location=texts)
)
errors = st.none() | st.builds(
    lambda kind, text: kind(text),
    st.sampled_from([NotFoundError, OutcomeUnknownError, VPSError, ValueError, RuntimeError, TimeoutError]),
    texts,
)
memories = st.builds(Memory, date=moments, said=texts, lost=st.booleans(), baseline=moments, newest=moments)
outcomes = st.builds(
    Outcome,
    index=st.just(0),
    item=items,
    state=st.sampled_from(STATES),
    server=st.sampled_from([None, SERVER]),
    value=st.sampled_from([None, SERVER, ACTION]) | plain,
    error=errors,
    accepted=st.booleans(),
    began_at=moments,
    ended_at=moments,
    carried=st.none() | st.builds(Carried, command=st.none() | memories, sent=moments),
)
arguments = st.builds(
    RunArguments,
    own=st.just({"wait": True}),
    at_once=st.integers(1, 99),
    tolerate=st.none() | st.integers(0, 9),
    timeout=st.none() | st.floats(0, 900),
    poll=st.just(PollPolicy(maximum=7)),
    stop_on=st.sampled_from([(), (NotFoundError,), (Exception, VPSError)]),
)
reports = st.builds(
    lambda found, made, given, stopped: report_of(
        *[Outcome(**{**_fields(each), "index": index}) for index, each in enumerate(found)],
        stopped_by=stopped,
        arguments=given,
        made_at=made,
    ),
    st.lists(outcomes, max_size=3),
    moments,
    st.none() | arguments,
    errors,
)


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {name.lstrip("_"): value for name, value in outcome.__getstate__().items() if name != "error"} | {
        "error": outcome.error
    }


def through_json(report: FleetReport) -> FleetReport:
    return FleetReport.from_dict(json.loads(json.dumps(report.to_dict())))


@given(reports)
def test_a_report_comes_back_from_json_as_it_went(report):
    """F8: a report goes through JSON whole, once and twice."""
    back = through_json(report)

    assert through_json(back).to_dict() == back.to_dict()
    for before, after in zip(report, back, strict=True):
        for name in ("index", "item", "state", "server", "value", "accepted", "began_at", "ended_at", "_carried"):
            assert getattr(after, name) == getattr(before, name)
        assert (before.error is None) == (after.error is None)
    assert back._arguments == report._arguments
    assert back._made_at == report._made_at


def test_errors_keep_their_class_text_status_and_request_id():
    """F16: what was kept of an error of this library is there again, and the rest is `None`."""
    error = NotFoundError(
        "gone", status_code=404, message="m", headers={"a": "b"}, body=b"x", request_id="r", sent=True
    )
    error.request_summary = "GET /servers/7/"

    back = through_json(report_of(ended(0, error=error)))[0].error

    assert type(back) is NotFoundError
    assert (str(back), back.status_code, back.request_id, back.sent) == ("gone", 404, "r", True)
    assert back.request_summary == "GET /servers/7/"
    assert (back.message, back.headers, back.body, back.fields, back.attempts) == (None,) * 5


class OddError(Exception):
    pass


class NamesakeError(VPSError):
    pass


NamesakeError.__name__ = "NotFoundError"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OddError("boom"), "OddError: boom"),
        (OddError(), "OddError"),
        (KeyError("a"), "KeyError: 'a'"),
        (RuntimeError("boom"), "boom"),
        # A class of the user's that has the name of one of ours.
        (NamesakeError("boom"), "NotFoundError: boom"),
    ],
)
def test_an_error_of_another_class_becomes_a_runtime_error_with_its_name(error, text):
    """F16: nothing is imported for an error of a class that this library does not have."""
    back = through_json(report_of(ended(0, error=error), stopped_by=error))

    assert type(back[0].error) is RuntimeError
    assert [str(back[0].error), str(back.stopped_by)] == [text, text]
    assert str(through_json(back)[0].error) == text


def test_all_errors_of_this_library_come_back():
    """F16: each of them by its class."""
    kinds = [kind for kind in map(vars(_errors).get, _errors.__all__) if isinstance(kind, type)]

    back = through_json(report_of(*[ended(index, error=kind("text")) for index, kind in enumerate(kinds)]))

    assert [type(outcome.error) for outcome in back] == kinds
    assert {str(outcome.error) for outcome in back} == {"text"}
    assert len(kinds) > 15


def data() -> dict[str, Any]:
    return report_of(
        ended(0, "pending", item=7, server=SERVER, value=ACTION, carried=Carried(command=Memory())),
        ended(1, error=APIStatusError("no", status_code=500)),
        arguments=RunArguments(
            own={"wait": True}, at_once=20, tolerate=None, timeout=1.0, poll=PollPolicy(), stop_on=(NotFoundError,)
        ),
    ).to_dict()


@pytest.mark.parametrize("version", [None, "1", True, 0, 2, 10**9])
def test_another_version_is_refused(version):
    """F16: data of a version that the library does not know are refused in words."""
    with pytest.raises(InvalidArgumentError, match="version"):
        FleetReport.from_dict({**data(), "version": version})


@pytest.mark.parametrize("version", [2, 1.1, "1.0", "two"])
def test_a_later_version_is_refused_with_what_to_do(version):
    """F16: a later version may be written otherwise."""
    with pytest.raises(InvalidArgumentError, match="not of version 1: read them with the vpsorg_async that wrote them"):
        FleetReport.from_dict({**data(), "version": version})


def test_a_field_more_is_passed_over():
    """F16: a field that a later release adds does not hinder this one."""
    more = data()
    for place in (
        more,
        more["outcomes"][0],
        more["outcomes"][1]["error"],
        more["arguments"],
        more["arguments"]["poll"],
    ):
        place["new"] = {"a": 1}

    assert FleetReport.from_dict(more).to_dict() == data()


@pytest.mark.parametrize("value", [None, 7, "text", True, [], {}, [{}], {"class": "os.system"}, "../../etc", "\x00"])
def test_what_was_tampered_with_is_read_or_refused(value):
    """F16: any value in any place is read as data, or refused with an `InvalidArgumentError`."""

    def places(container: Any) -> list[tuple[Any, Any]]:
        keys = container.keys() if isinstance(container, dict) else range(len(container))
        inner = [place for key in keys if isinstance(container[key], (dict, list)) for place in places(container[key])]
        return [(container, key) for key in keys] + inner

    for number in range(len(places(data()))):
        changed = copy.deepcopy(data())
        container, key = places(changed)[number]
        container[key] = value
        try:
            found = {outcome.state for outcome in FleetReport.from_dict(changed)}
        except InvalidArgumentError:
            found = set()
        assert found <= {*STATES}


@pytest.mark.parametrize("server_id", ["../7", "", -1, True, None, 1.5])
def test_an_id_that_is_none_is_refused(server_id):
    """F16: an id becomes a part of a path."""
    changed = data()
    changed["outcomes"][0]["item"] = {"id": server_id}
    with pytest.raises(InvalidArgumentError):
        FleetReport.from_dict(changed)


def test_no_secret_is_in_the_data():
    server = Server.from_dict({**detail(), "password": "hunter2", "user_data": "#!hunter2", "root_token": "hunter2"})
    report = report_of(
        ended(0, "pending", item=server, server=server, value=server),
        ended(1, "succeeded", item=2, value={"password": "hunter2", "n": [1, {"api_key": "hunter2"}]}),
    )

    told = json.dumps(report.to_dict())

    assert "hunter2" not in told
    assert FleetReport.from_dict(json.loads(told))[1].value == {"n": [1, {}]}


@pytest.mark.parametrize("value", [object(), float("nan"), {1: 2}, (1,), [object()], 1 << 5000])
def test_a_result_that_is_no_json_is_left_out(value):
    assert through_json(report_of(ended(0, "succeeded", value=value)))[0].value is None


def test_a_result_that_is_too_deep_is_left_out():
    deep: list[Any] = []
    deep.append(deep)

    assert through_json(report_of(ended(0, "succeeded", value=deep)))[0].value is None


def test_a_class_that_stops_a_run_and_is_not_ours_is_not_kept():
    kept = RunArguments(
        at_once=1, tolerate=None, timeout=None, poll=PollPolicy(), stop_on=(OddError, NamesakeError, NotFoundError)
    )

    assert through_json(report_of(arguments=kept))._arguments.stop_on == (NotFoundError,)
