"""What it would take so that each spec is there: a table."""

from __future__ import annotations

import pickle

import pytest

from tests.helpers_fleet import specs
from vpsorg_async import EnsureConflictError, OperatingSystem, Plan, Server
from vpsorg_async._fleet.preview import preview_of, tells_all


SPEC = specs(1)[0]


def server(number: int = 1, **changes) -> Server:
    given = {
        "name": "app-0",
        "status": "active",
        "location": "us-west",
        "plan": Plan(id=1),
        "os": OperatingSystem(id="5"),
    }
    return Server(id=number, **{**given, **changes})


@pytest.mark.parametrize(
    ("servers", "reason"),
    [
        ([server()], None),
        ([server(status="stopped")], None),
        ([server(2, name="APP-0"), server()], None),
        ([server(), server(2)], "2 servers have the name: 1, 2"),
        ([server(plan=Plan(id=2))], "server 1 has the name, but its plan is 2, not 1"),
        ([server(plan=None)], "server 1 has the name, but its plan is not shown"),
        ([server(os=OperatingSystem(name="x"))], "server 1 has the name, but its operating system is not shown"),
        ([server(location="eu")], "server 1 has the name, but its location is eu, not us-west"),
        ([server(name="APP-0")], "server 1 has the name, but its name is APP-0, not app-0"),
        (
            [server(os=OperatingSystem(id=6), location="eu")],
            "server 1 has the name, but its operating system is 6, not 5 and its location is eu, not us-west",
        ),
    ],
)
def test_a_server_of_the_name_is_kept_or_in_conflict(servers, reason):
    """F13: kept if plan, system and location agree; in conflict if they differ or cannot be told, or if it is twice."""
    preview = preview_of([SPEC], {"app-0": servers})

    assert preview.create == ()
    assert [conflict.reason for conflict in preview.conflicts] == ([] if reason is None else [reason])
    assert [kept.id for kept in preview.keep] == ([1] if reason is None else [])


def test_what_is_not_there_is_to_be_created():
    preview = preview_of(specs(3), {"app-1": [server(name="app-1")]})

    assert [spec.name for spec in preview.create] == ["app-0", "app-2"]
    assert str(preview) == "2 to create, 1 to keep, 0 in conflict"


def test_a_printed_preview_names_twenty_conflicts():
    there = {f"app-{number}": [server(name=f"app-{number}", location="eu")] for number in range(25)}

    lines = str(preview_of(specs(25), there)).splitlines()

    assert lines[0] == "0 to create, 0 to keep, 25 in conflict"
    assert lines[1] == "  'app-0': server 1 has the name, but its location is eu, not us-west"
    assert (len(lines), lines[-1]) == (22, "  … and 5 more")


def test_a_list_may_not_tell_all():
    assert tells_all(SPEC, server())
    assert not tells_all(SPEC, server(plan=None))


def test_the_error_keeps_its_preview_in_a_pickle():
    preview = preview_of([SPEC], {"app-0": [server(location="eu")]})
    error = EnsureConflictError("text", preview=preview)

    assert pickle.loads(pickle.dumps(error)).preview == preview
    assert EnsureConflictError(*error.args).preview is None
