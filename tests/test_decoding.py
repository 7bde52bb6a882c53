"""JSON is read into models: whatever its shape, one by one or many at once, and written back."""

from __future__ import annotations

import copy
import json
import pickle

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers_models import (
    FIELDS,
    JSON,
    LISTED,
    MISFITS,
    NEARLY_LISTED,
    OBJECTS,
    ODD,
    WITH_ID,
    exact,
    is_data,
)
from vpsorg_async._models import (
    FORM,
    OperatingSystem,
    Plan,
    ResourceUsage,
    Server,
    ServerStatus,
)


class TestOddValues:
    @pytest.mark.parametrize(("field", "odd"), MISFITS)
    def test_what_does_not_fit_is_none_and_stays_in_extra(self, field: str, odd: Any) -> None:
        server = Server.from_dict({"id": 7, field: odd})

        assert getattr(server, field) is None
        assert server.extra == {field: odd}
        assert exact(server.to_dict()[field]) == exact(odd)

    def test_null_and_missing_are_both_none(self) -> None:
        null = Server.from_dict({"id": 7, "status": "active", **dict.fromkeys(FIELDS[3:])})

        assert null == Server.from_dict({"id": 7, "status": "active"})
        assert null == Server(id=7, name="", status="active")
        assert {null.to_dict()[field] for field in FIELDS[3:]} == {None}

    @pytest.mark.parametrize("odd", [None, 7, [], {}])
    def test_a_name_that_is_none_is_empty(self, odd: Any) -> None:
        server = Server.from_dict({"id": 7, "name": odd, "status": "active"})

        assert server.name == ""
        assert server.extra == {"name": odd}
        assert server.to_dict() == {"id": 7, "name": odd, "status": "active"}
        assert Server.from_dict(server.to_dict()) == server

    @pytest.mark.parametrize(
        ("given_status", "status", "extra"),
        [
            ("active", ServerStatus.ACTIVE, {}),
            ("migrating", "migrating", {}),
            ("ACTIVE", "ACTIVE", {}),
            ("", "", {}),
            (None, "", {"status": None}),
            (3, "", {"status": 3}),
            ({"name": "active"}, "", {"status": {"name": "active"}}),
        ],
    )
    def test_a_status_is_a_member_or_what_came(self, given_status: Any, status: str, extra: dict[str, Any]) -> None:
        server = Server.from_dict({"id": 7, "status": given_status})

        assert server.status == status
        assert type(server.status) is type(status)
        assert server.extra == extra
        assert exact(server.to_dict()["status"]) == exact(given_status)

    def test_nested_values_that_do_not_fit_stay_in_the_nested_extra(self) -> None:
        plan = {"id": 1.5, "name": None, "vcpus": "2", "memory": True, "storage": 80, "ram": 4, "ram_unit": "GB"}
        server = Server.from_dict({"id": 7, "plan": plan})

        kept = {"id": 1.5, "vcpus": "2", "memory": True, "ram": 4, "ram_unit": "GB"}
        assert server.plan == Plan(storage=80, extra=kept)
        assert exact(server.to_dict()["plan"]) == exact(plan)

    def test_usage_may_be_whole_or_broken_numbers(self) -> None:
        usage = {"cpu_percent": 5, "memory_used": 2048.5, "disk_used": True, "bandwidth_used": "much"}
        server = Server.from_dict({"id": 7, "resource_usage": usage})

        assert server.resource_usage == ResourceUsage(
            cpu_percent=5, memory_used=2048.5, extra={"disk_used": True, "bandwidth_used": "much"}
        )
        assert exact(server.to_dict()["resource_usage"]) == exact(usage)

    def test_json_cannot_set_private_fields(self) -> None:
        server = Server.from_dict({"id": 7, "_servers": "evil", "_nulls": 3, "extra": {"a": 1}})

        assert server.extra == {"_servers": "evil", "_nulls": 3, "extra": {"a": 1}}
        assert server._servers is None
        assert server._nulls == ()


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "moment", "written"),
        [
            ("2025-01-10T14:30:00Z", datetime(2025, 1, 10, 14, 30, tzinfo=UTC), "2025-01-10T14:30:00Z"),
            ("2025-01-10T14:30:00", datetime(2025, 1, 10, 14, 30, tzinfo=UTC), "2025-01-10T14:30:00Z"),
            ("2025-01-10T14:30:00+02:00", datetime(2025, 1, 10, 12, 30, tzinfo=UTC), "2025-01-10T12:30:00Z"),
            ("2025-01-10 14:30:00.25Z", datetime(2025, 1, 10, 14, 30, 0, 250000, UTC), "2025-01-10T14:30:00.250000Z"),
        ],
    )
    def test_times_are_aware_and_written_with_a_z(self, text: str, moment: datetime, written: str) -> None:
        server = Server.from_dict({"id": 7, "created_at": text})

        assert server.created_at == moment
        assert server.created_at.tzinfo is UTC
        assert server.to_dict()["created_at"] == written

    @pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "\ud800"])
    def test_what_is_no_time_stays_in_extra(self, text: str) -> None:
        server = Server.from_dict({"id": 7, "updated_at": text})

        assert server.updated_at is None
        assert server.extra == {"updated_at": text}

    def test_a_time_of_another_zone_is_written_in_utc(self) -> None:
        zone = timezone(timedelta(hours=-8))
        server = Server(id=7, name="", status="", created_at=datetime(2025, 1, 10, 14, 30, tzinfo=zone))

        assert server.to_dict()["created_at"] == "2025-01-10T22:30:00Z"


class TestAnyObjectWithAnId:
    @given(WITH_ID)
    def test_it_is_a_server_and_equal_after_the_round_trip(self, data: dict[str, Any]) -> None:
        server = Server.from_dict(data)

        assert Server.from_dict(server.to_dict()) == server
        assert Server.from_dict(json.loads(json.dumps(server.to_dict()))) == server
        assert hash(Server.from_dict(server.to_dict())) == hash(server)

    @given(WITH_ID)
    def test_nothing_of_it_is_lost(self, data: dict[str, Any]) -> None:
        server = Server.from_dict(data)
        written = server.to_dict(secrets=True)

        for key, value in data.items():
            if value is None or (key in {"created_at", "updated_at"} and getattr(server, key)):
                # Null may have been filled from elsewhere; a time may have been written otherwise.
                assert key in written
            elif key in {"plan", "os"} and isinstance(value, dict):
                # What was read under another name is there under its own as well.
                assert exact({name: written[key][name] for name in value}) == exact(value)
            else:
                assert exact(written[key]) == exact(value)

    @given(WITH_ID)
    def test_copies_are_equal_and_whole(self, data: dict[str, Any]) -> None:
        server = Server.from_dict(data)

        for made in (pickle.loads(pickle.dumps(server)), copy.copy(server), copy.deepcopy(server)):
            assert made == server
            assert exact(made.to_dict()) == exact(server.to_dict())

    @given(OBJECTS)
    def test_without_one_it_is_a_value_error_and_nothing_else(self, data: dict[str, Any]) -> None:
        data = {key: value for key, value in data.items() if key not in {"id", "uuid"}}

        with pytest.raises(ValueError) as caught:
            Server.from_dict(data)

        assert str(caught.value) == "no usable id"


class TestManyAtOnce:
    """What `read_all` reads field by field is what is read one by one."""

    @given(st.lists(st.just(LISTED) | NEARLY_LISTED | OBJECTS | JSON, max_size=4))
    def test_they_are_as_one_by_one_or_not_read_at_all(self, items: list[Any]) -> None:
        read = FORM.read_all(items)

        if read is not None:
            alone = [Server.from_dict(item) for item in items]
            assert read == alone
            assert [*map(repr, read)] == [*map(repr, alone)]
            assert [exact(server.to_dict()) for server in read] == [exact(item) for item in items]

    def test_the_documented_list_is_read_at_once(self) -> None:
        backwards = dict(reversed(LISTED.items()))

        assert FORM.read_all([LISTED, backwards]) == [Server.from_dict(LISTED)] * 2

    @pytest.mark.parametrize("name", LISTED)
    @pytest.mark.parametrize("odd", [*ODD, None, "", "2025"], ids=str)
    def test_one_with_an_odd_value_is_left_to_the_careful_reader(self, name: str, odd: Any) -> None:
        as_it_is = name in {"id", "name", "hostname", "ip_address", "location"} and type(odd) is type(LISTED[name])

        assert (FORM.read_all([LISTED, {**LISTED, name: odd}]) is not None) == as_it_is

    @pytest.mark.parametrize(
        "other",
        [
            {**LISTED, "deployed": True},
            {name: value for name, value in LISTED.items() if name != "os"},
            {**LISTED, "plan": {**LISTED["plan"], "bandwidth": 5}},
            {**LISTED, "os": {"id": 5, "title": "Debian"}},
            {**LISTED, "status": "migrating"},
            {**LISTED, "ip_address": None},
            None,
            7,
            "ten letters",
            [*LISTED],
        ],
        ids=str,
    )
    def test_one_with_other_fields_is_left_to_the_careful_reader(self, other: Any) -> None:
        assert FORM.read_all([LISTED, other]) is None

    def test_each_has_an_extra_of_its_own_and_equal_plans_are_one(self) -> None:
        one, other = FORM.read_all([LISTED, LISTED]) or ()
        one.extra["a"] = 1

        assert other == Server.from_dict(LISTED)
        assert one.plan is other.plan
        assert one.os is other.os

    @pytest.mark.parametrize(("id", "other"), [(1, True), (1, 1.0), ("1", 1)])
    def test_what_is_only_nearly_equal_is_not_one(self, id: Any, other: Any) -> None:  # noqa: A002 - the field's name
        items = [{**LISTED, "plan": {**LISTED["plan"], "id": key}} for key in (id, other)]

        read = FORM.read_all(items) or [Server.from_dict(item) for item in items]

        assert [exact(server.to_dict()) for server in read] == [exact(item) for item in items]

    def test_they_are_frozen_servers_like_any(self) -> None:
        (server,) = FORM.read_all([LISTED]) or ()

        assert [type(part) for part in (server, server.plan, server.os)] == [Server, Plan, OperatingSystem]
        assert attrs.evolve(server, name="other").name == "other"
        assert attrs.asdict(server, filter=is_data) == attrs.asdict(Server.from_dict(LISTED), filter=is_data)
        for model in (server, server.plan):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                model.name = "other"
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                del model.name

    def test_a_subclass_reads_ones_of_its_own(self) -> None:
        class Mine(Server):
            pass

        server = Mine.from_dict({**LISTED, "ip_address": None, "deployed": True})

        assert type(server) is Mine
        assert server.to_dict() == {**LISTED, "ip_address": None, "deployed": True}
