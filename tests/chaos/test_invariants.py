"""Tests the rules: each has records that break it alone, and good records break none."""

from __future__ import annotations

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.invariants import RULES, Record, Request, Told, tally, violations


POST = Request(call="1", method="POST", path="/servers/", name="web", status=201, committed=True, made="7")
LOST = attrs.evolve(POST, delivered=False)
DROPPED = attrs.evolve(POST, status=0, delivered=False, committed=False, made="")
LIMITED = attrs.evolve(DROPPED, status=429, delivered=True)
BUSY = attrs.evolve(LIMITED, status=503, retry_after=True)
REBOOT = Request(call="2", method="POST", path="/servers/7/reboot/", committed=True)
START = Request(call="3", method="POST", path="/servers/7/start/", committed=True)
GET = Request(call="4", method="GET", path="/servers/7/")
LISTING = Request(call="1", method="GET", path="/servers/")
CREATED = Told(call="1", kind="create", name="web", server="7")
STARTED = Told(call="3", kind="start")
GOT = Told(call="4", kind="get")
FLEET = Told(call="3", kind="fleet")
CONFLICT = attrs.evolve(START, status=400, committed=False)
LOOK = attrs.evolve(GET, call="3")


def raised(told, error, **more):
    return attrs.evolve(told, end="raised", server="", error=error, **more)


BAD = {
    "doubled": [
        Record(requests=[LIMITED, POST, attrs.evolve(POST, call="2", made="8")], told=[CREATED]),
    ],
    "lost": [
        Record(requests=[LOST], told=[raised(CREATED, "APIConnectionError")]),
        Record(requests=[LOST], told=[raised(CREATED, "APITimeoutError", sent=True)]),
        Record(requests=[POST], told=[raised(CREATED, "ResponseError")]),
        Record(requests=[REBOOT], told=[raised(Told(call="2", kind="reboot"), "ServerError")]),
    ],
    "invented": [
        Record(requests=[POST], told=[attrs.evolve(CREATED, server="8")]),
        Record(requests=[DROPPED], told=[CREATED]),
        Record(
            requests=[POST, attrs.evolve(POST, call="5", name="db", made="8")],
            told=[CREATED, Told(call="5", kind="create", name="db", server="7")],
        ),
    ],
    "repeated": [
        Record(requests=[DROPPED, POST], told=[CREATED]),
        Record(requests=[attrs.evolve(DROPPED, whole=False), POST], told=[CREATED]),
        Record(requests=[attrs.evolve(BUSY, retry_after=False), POST], told=[CREATED]),
        Record(requests=[attrs.evolve(BUSY, status=500), POST], told=[CREATED]),
        Record(requests=[attrs.evolve(REBOOT, status=400, committed=False), REBOOT]),
        Record(requests=[attrs.evolve(POST, path="/other/", name="", made="")] * 2),
    ],
    "insisted": [
        *[
            Record(requests=[attrs.evolve(START, status=status), START], told=[STARTED])
            for status in (200, 302, 400, 401, 402, 403, 404, 409, 422, 501)
        ],
        Record(requests=[attrs.evolve(GET, status=404), GET], told=[GOT]),
        Record(requests=[CONFLICT, LOOK, START], told=[FLEET]),
        Record(requests=[attrs.evolve(START, status=502), CONFLICT, START], told=[FLEET]),
        Record(
            requests=[attrs.evolve(START, status=502), CONFLICT, attrs.evolve(LOOK, status=502), START], told=[FLEET]
        ),
        Record(
            requests=[
                attrs.evolve(START, status=502),
                CONFLICT,
                attrs.evolve(LOOK, delivered=False, lost=True),
                START,
            ],
            told=[FLEET],
        ),
        Record(
            requests=[attrs.evolve(START, status=502), CONFLICT, attrs.evolve(LOOK, path="/servers/8/"), START],
            told=[FLEET],
        ),
        Record(requests=[attrs.evolve(START, status=502), CONFLICT, LOOK, START], told=[STARTED]),
        Record(requests=[attrs.evolve(GET, method="DELETE", status=404)] * 2, told=[GOT]),
    ],
    "unsent": [Record(requests=[START], told=[raised(STARTED, "APIConnectionError")])],
    "stray": [Record(requests=[attrs.evolve(GET, origin="elsewhere")], told=[GOT])],
    "late": [
        Record(requests=[attrs.evolve(GET, at=3.5)], told=[GOT], closed_at=3.0),
        Record(requests=[GET], told=[attrs.evolve(GOT, began=3.5)], closed_at=3.0),
    ],
    "crowded": [Record(sockets=[1, 2, 3, 2], max_connections=2)],
    "hung": [Record(told=[attrs.evolve(GOT, end="running")])],
}

GOOD = {
    "a create": Record(requests=[POST], told=[CREATED]),
    "a create refused for now, twice": Record(requests=[LIMITED, BUSY, POST], told=[CREATED]),
    "a lost create, found": Record(requests=[LOST, LISTING, LISTING], told=[CREATED]),
    "a lost create, unknown": Record(requests=[LOST], told=[raised(CREATED, "OutcomeUnknownError")]),
    "a create that was not made": Record(requests=[DROPPED], told=[raised(CREATED, "APITimeoutError", sent=True)]),
    "a cancelled create": Record(requests=[LOST], told=[attrs.evolve(CREATED, end="cancelled", server="")]),
    "a start whose response was lost": Record(requests=[attrs.evolve(START, delivered=False), START], told=[STARTED]),
    "a start that the API failed at": Record(requests=[attrs.evolve(START, status=500), START], told=[STARTED]),
    "a start that may have left": Record(
        requests=[attrs.evolve(START, delivered=False)], told=[raised(STARTED, "APIConnectionError", sent=True)]
    ),
    "a fleet's start in doubt, after a look": Record(
        requests=[attrs.evolve(START, status=502), CONFLICT, LOOK, START], told=[FLEET]
    ),
    "a fleet's start in doubt, after a look that came late": Record(
        requests=[attrs.evolve(START, status=502), CONFLICT, attrs.evolve(LOOK, delivered=False), START], told=[FLEET]
    ),
    "a fleet's start in doubt, after a list that another call has read": Record(
        requests=[attrs.evolve(START, status=502), CONFLICT, LISTING, START], told=[FLEET]
    ),
    "a get that was given up": Record(requests=[GET, GET], told=[attrs.evolve(GOT, slow=True)]),
    "a wait, which polls": Record(requests=[GET, GET], told=[attrs.evolve(GOT, kind="wait")]),
    "another origin, without the token": Record(requests=[attrs.evolve(GET, origin="elsewhere", token=False)]),
    "a request before the end": Record(requests=[GET], told=[GOT], closed_at=3.0),
    "as many sockets as allowed": Record(sockets=[1, 2], max_connections=2),
}


def rules_broken(record):
    return {violation.rule for violation in violations(record)}


def test_every_rule_has_a_record_that_breaks_it():
    assert BAD.keys() == RULES.keys()


@pytest.mark.parametrize(
    ("rule", "record"),
    [(rule, record) for rule, records in BAD.items() for record in records],
    ids=[f"{rule} {number}" for rule, records in BAD.items() for number, _ in enumerate(records)],
)
def test_a_bad_record_breaks_its_rule_alone(rule, record):
    assert rules_broken(record) == {rule}


@pytest.mark.parametrize("record", GOOD.values(), ids=GOOD)
def test_a_good_record_breaks_no_rule(record):
    assert violations(record) == []


@given(
    st.sampled_from(list(GOOD.values())),
    st.lists(st.sampled_from([(rule, record) for rule, records in BAD.items() for record in records]), max_size=3),
)
def test_broken_rules_are_found_beside_other_calls(good, bad):
    """The calls and names of each record are made unique, and all records are joined into one."""
    records = [good, *(record for _, record in bad)]
    apart = [_of_its_own(record, number) for number, record in enumerate(records)]
    together = Record(
        requests=[request for record in apart for request in record.requests],
        told=[told for record in apart for told in record.told],
        sockets=[count for record in apart for count in record.sockets],
        max_connections=2,
        closed_at=3.0,
    )

    assert rules_broken(together) == {rule for rule, _ in bad}


def _of_its_own(record, number):
    def name(text):
        return text and f"{number}/{text}"

    return attrs.evolve(
        record,
        requests=[
            attrs.evolve(one, call=name(one.call), name=name(one.name), made=name(one.made)) for one in record.requests
        ],
        told=[
            attrs.evolve(one, call=name(one.call), name=name(one.name), server=name(one.server)) for one in record.told
        ],
    )


def test_creates_are_counted_by_their_results():
    unknown = raised(attrs.evolve(CREATED, call="5", name="db"), "OutcomeUnknownError")
    listing = attrs.evolve(LISTING, call="5")
    requests = [POST, attrs.evolve(LOST, call="5", name="db", made="8")]

    in_vain = tally(Record(requests=[*requests, attrs.evolve(listing, spoilt=True)], told=[CREATED, unknown]))
    in_spite = tally(Record(requests=[*requests, listing], told=[CREATED, unknown]))
    lost = tally(BAD["lost"][0])

    of_a_fleet = tally(Record(requests=[*requests, listing], told=[attrs.evolve(CREATED, call="5"), unknown]))
    assert +in_vain == {"committed": 2, "committed alone": 2, "returned": 1, "unknown": 1}
    assert +in_spite == {**+in_vain, "unknown despite a listing": 1}
    assert +of_a_fleet == {"committed": 2, "returned": 1, "unknown": 1}
    assert +lost == {"committed": 1, "committed alone": 1, "raised": 1, "lost": 1}
