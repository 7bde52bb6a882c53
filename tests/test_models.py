"""The models read whatever has an id, lose nothing of it, and show no secret."""

from __future__ import annotations

import copy
import json
import pickle
import typing

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import httpx
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import ROOT, action, detail
from vpsorg_async._client import Client
from vpsorg_async._errors import ConfigurationError
from vpsorg_async._models import (
    FORM,
    Action,
    OperatingSystem,
    Plan,
    ResourceUsage,
    Server,
    ServerRef,
    ServerStatus,
    StatusName,
)


CONTRACT = ROOT / "tests" / "contract"

FIELDS = [
    *("id", "name", "status", "hostname", "ip_address", "ipv6_address", "location", "plan", "os"),
    *("backups_enabled", "resource_usage", "created_at", "updated_at", "message"),
]
DIALECT = [
    *("uuid", "location_name", "plan_name", "os_name", "operating_system_version", "operating_system"),
    *("ipv4_addresses", "ipv6_addresses", "password", "deployed", "_servers", "_nulls", "extra"),
]
NESTED = [
    *("code", "slug", "vcpus", "memory", "storage", "bandwidth", "ram", "ip", "address"),
    *("cpu_percent", "memory_used", "disk_used", "bandwidth_used"),
]
KEYS = st.sampled_from(FIELDS + DIALECT + NESTED) | st.text(max_size=3)
TEXTS = st.text(max_size=5) | st.sampled_from([*ServerStatus, "2025-01-10T14:30:00Z", "2025-01-10T14:30:00+05:30"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS.map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)
ODD: list[Any] = [[], [1], {"a": [None]}, 1.5, "odd", True, 10**30]
TYPES = {
    "backups_enabled": bool,
    "plan": dict,
    "os": dict,
    "resource_usage": dict,
    "created_at": None,
    "updated_at": None,
}
MISFITS = [(field, odd) for field in FIELDS[3:] for odd in ODD if type(odd) is not TYPES.get(field, str)]
IDS = st.integers() | st.text(min_size=1, max_size=5)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=12)
WITH_ID = st.builds(
    lambda data, key, value: {**data, **({"uuid": value, "id": None} if key == "uuid" else {key: value})},
    OBJECTS,
    st.sampled_from(["id", "uuid"]),
    IDS,
)


def contract(name: str) -> Any:
    """Return one of the answers that the API documents."""
    return json.loads((CONTRACT / f"{name}.json").read_text())


def exact(data: Any) -> str:
    """Return JSON text, which tells 1 from 1.0 and from true."""
    return json.dumps(data, sort_keys=True)


class TestDocumentedAnswers:
    def test_a_detail_is_read_field_for_field(self) -> None:
        assert Server.from_dict(contract("detail")) == Server(
            id=12345,
            name="web-server-01",
            status=ServerStatus.ACTIVE,
            hostname="web01.example.com",
            ip_address="203.0.113.10",
            ipv6_address="2001:0db8::1",
            location="us-west",
            plan=Plan(id=1, name="Standard VPS", vcpus=2, memory=4096, storage=80, bandwidth=2048),
            os=OperatingSystem(id=5, name="Ubuntu 22.04 LTS"),
            backups_enabled=True,
            resource_usage=ResourceUsage(cpu_percent=23.5, memory_used=2048, disk_used=35, bandwidth_used=450),
            created_at=datetime(2025, 1, 10, 14, 30, tzinfo=UTC),
            updated_at=datetime(2025, 1, 16, 15, 45, tzinfo=UTC),
        )

    def test_a_created_server_is_read_field_for_field(self) -> None:
        assert Server.from_dict(contract("created")) == Server(
            id=12347,
            name="web-server-02",
            status=ServerStatus.PROVISIONING,
            hostname="web02.example.com",
            location="us-west",
            plan=Plan(id=1, name="Standard VPS", vcpus=2, memory=4096, storage=80),
            os=OperatingSystem(id=5, name="Ubuntu 22.04 LTS"),
            backups_enabled=True,
            created_at=datetime(2025, 1, 16, 15, 30, tzinfo=UTC),
            updated_at=datetime(2025, 1, 16, 15, 30, tzinfo=UTC),
            message="Server is being provisioned. This may take 2-5 minutes.",
        )

    @pytest.mark.parametrize("document", [contract("detail"), contract("created"), *contract("list")["results"]])
    def test_to_dict_gives_the_very_answer_back(self, document: Any) -> None:
        assert exact(Server.from_dict(document).to_dict()) == exact(document)

    def test_the_statuses_are_the_seven(self) -> None:
        assert [str(status) for status in ServerStatus] == list(typing.get_args(StatusName))
        assert ServerStatus("active") == "active"
        assert len(ServerStatus) == 7


class TestIds:
    @pytest.mark.parametrize(
        ("data", "server_id"),
        [
            ({"id": 7}, 7),
            ({"id": 0}, 0),
            ({"id": 10**40}, 10**40),
            ({"id": "7"}, "7"),
            ({"uuid": "9b2f"}, "9b2f"),
            ({"uuid": 9}, 9),
            ({"id": 7, "uuid": "9b2f"}, 7),
            ({"id": None, "uuid": "9b2f"}, "9b2f"),
            ({"id": "", "uuid": "9b2f"}, "9b2f"),
            ({"id": True, "uuid": "9b2f"}, "9b2f"),
            ({"id": 7.0, "uuid": "9b2f"}, "9b2f"),
        ],
    )
    def test_the_id_is_taken_from_id_else_from_uuid(self, data: dict[str, Any], server_id: int | str) -> None:
        server = Server.from_dict(data)

        assert exact(server.id) == exact(server_id)
        assert Server.from_dict(server.to_dict()) == server

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"id": None},
            {"id": ""},
            {"id": True},
            {"id": 7.0},
            {"id": [7]},
            {"id": {}},
            {"uuid": ""},
            {"name": "web"},
        ],
    )
    def test_without_a_usable_id_there_is_no_server(self, data: Any) -> None:
        with pytest.raises(ValueError) as caught:
            Server.from_dict(data)

        assert str(caught.value) == "no usable id"

    @pytest.mark.parametrize(
        ("data", "kind"),
        [([], "an array"), (None, "null"), ("web", "a string"), (7, "a number"), (True, "a boolean"), ((), "a tuple")],
    )
    def test_what_is_no_object_is_no_server(self, data: Any, kind: str) -> None:
        with pytest.raises(ValueError) as caught:
            Server.from_dict(data)

        assert str(caught.value) == f"no object but {kind}"


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


class TestDialect:
    """What the vendor's newer clients show beyond the documentation."""

    @pytest.mark.parametrize(
        ("data", "location"),
        [
            ({"location": {"code": "us-west", "slug": "west", "name": "Los Angeles"}}, "us-west"),
            ({"location": {"slug": "west", "name": "Los Angeles"}}, "west"),
            ({"location": {"code": 3, "name": "Los Angeles"}}, "Los Angeles"),
            ({"location": {"id": 3}, "location_name": "Los Angeles"}, "Los Angeles"),
            ({"location": None, "location_name": "Los Angeles"}, "Los Angeles"),
            ({"location_name": "Los Angeles"}, "Los Angeles"),
            ({"location": "us-west", "location_name": "Los Angeles"}, "us-west"),
            ({"location": [], "location_name": 7}, None),
        ],
    )
    def test_location(self, data: dict[str, Any], location: str | None) -> None:
        assert self.read(data).location == location

    @pytest.mark.parametrize(
        ("data", "system"),
        [
            ({"os": {"id": 5, "name": "Debian 12"}}, OperatingSystem(id=5, name="Debian 12")),
            (
                {"operating_system_version": {"name": "12"}, "operating_system": {"name": "D"}},
                OperatingSystem(name="12"),
            ),
            ({"operating_system": {"id": "a", "family": "linux"}}, OperatingSystem(id="a", extra={"family": "linux"})),
            ({"os": "Debian", "os_name": "Debian 12"}, OperatingSystem(name="Debian 12")),
            ({"os": "Debian", "os_name": None}, None),
        ],
    )
    def test_operating_system(self, data: dict[str, Any], system: OperatingSystem | None) -> None:
        assert self.read(data).os == system

    @pytest.mark.parametrize(
        ("data", "plan"),
        [
            ({"plan_name": "Standard VPS"}, Plan(name="Standard VPS")),
            ({"plan": {"name": "A"}, "plan_name": "B"}, Plan(name="A")),
            ({"plan": "9b2f", "plan_name": "B"}, Plan(name="B")),
            ({"plan": {}}, Plan()),
            ({"plan": "9b2f"}, None),
        ],
    )
    def test_plan(self, data: dict[str, Any], plan: Plan | None) -> None:
        assert self.read(data).plan == plan

    @pytest.mark.parametrize(
        ("addresses", "first"),
        [
            (["192.0.2.7", "192.0.2.8"], "192.0.2.7"),
            ([{"ip": "192.0.2.7"}], "192.0.2.7"),
            ([{"address": "192.0.2.7"}], "192.0.2.7"),
            ([{"ip": None, "address": "192.0.2.7"}], "192.0.2.7"),
            ([{"netmask": "255.255.255.0"}], None),
            ([None], None),
            ([], None),
            ("192.0.2.7", None),
            ({"ip": "192.0.2.7"}, None),
        ],
    )
    @pytest.mark.parametrize(("field", "lists"), [("ip_address", "ipv4_addresses"), ("ipv6_address", "ipv6_addresses")])
    def test_addresses(self, field: str, lists: str, addresses: Any, first: str | None) -> None:
        assert getattr(self.read({lists: addresses}), field) == first
        assert getattr(self.read({field: None, lists: addresses}), field) == first
        assert getattr(self.read({field: "198.51.100.1", lists: addresses}), field) == "198.51.100.1"

    def read(self, data: dict[str, Any]) -> Server:
        """Return the server, which must survive the round trip with every value that served it."""
        server = Server.from_dict({"id": 7, **data})
        written = server.to_dict()
        assert Server.from_dict(written) == server
        assert {key: written[key] for key, value in data.items() if value is not None} == {
            key: value for key, value in data.items() if value is not None
        }
        return server


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
        written = server.to_dict()

        for key, value in data.items():
            if value is None or (key in {"created_at", "updated_at"} and getattr(server, key)):
                # Null may have been filled from elsewhere; a time may have been written otherwise.
                assert key in written
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


LISTED = contract("list")["results"][0]
NEARLY_LISTED = st.builds(
    lambda changed, plan, system, gone: {
        name: value
        for name, value in {
            **LISTED,
            "plan": {**LISTED["plan"], **plan},
            "os": {**LISTED["os"], **system},
            **changed,
        }.items()
        if name not in gone
    },
    st.dictionaries(KEYS, JSON, max_size=2),
    st.dictionaries(KEYS, JSON, max_size=1),
    st.dictionaries(KEYS, JSON, max_size=1),
    st.lists(st.sampled_from([*LISTED]), max_size=1),
)


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
        assert attrs.asdict(server, filter=_data) == attrs.asdict(Server.from_dict(LISTED), filter=_data)
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


class TestRepr:
    def test_it_shows_the_keys_of_extra_and_never_the_values(self) -> None:
        secret = "hunter2"
        server = Server.from_dict(
            {
                "id": 7,
                "password": secret,
                "hostname": [secret],
                "plan": {"key": secret},
                "os": {"key": secret},
                "resource_usage": {"key": secret},
            }
        )

        assert secret not in repr(server)
        assert secret not in str(server)
        assert "extra=<'password', 'hostname'>" in repr(server)
        assert repr(server.plan).endswith("bandwidth=None, extra=<'key'>)")

    def test_it_shows_neither_client_nor_bookkeeping(self) -> None:
        server = Server.from_dict({"id": 7, "name": "web-01", "status": "active", "plan": None})

        assert "_servers" not in repr(server)
        assert "_nulls" not in repr(server)
        assert repr(server).startswith(
            "Server(id=7, name='web-01', status=<ServerStatus.ACTIVE: 'active'>, hostname=None"
        )


class TestEquality:
    def test_it_is_by_all_data(self) -> None:
        server = Server.from_dict(detail())

        assert server == Server.from_dict(detail())
        assert server != Server.from_dict(detail(unknown=1))
        assert server != Server.from_dict(detail(message="hello"))

    def test_extra_is_left_out_of_the_hash(self) -> None:
        known, unknown = Server.from_dict(detail()), Server.from_dict(detail(unknown={"a": []}))

        assert hash(known) == hash(unknown)
        assert len({known, unknown, Server.from_dict(detail())}) == 2

    @pytest.mark.parametrize("name", ["id", "status", "extra", "new"])
    def test_nothing_can_be_set(self, name: str) -> None:
        with pytest.raises(AttributeError):
            setattr(Server.from_dict(detail()), name, 1)


ACTION = Action(status="success", message="Server is starting", server=ServerRef(id=7, name="web", status="starting"))
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "evolve": attrs.evolve,
    **{
        f"pickle {number}": lambda model, number=number: pickle.loads(pickle.dumps(model, number))
        for number in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


class Requests:
    """A transport that answers every request and keeps it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Any]] = []
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((request.method, request.url.path, json.loads(request.content or "null")))
        if request.method == "DELETE":
            return httpx.Response(204)
        if request.method == "POST":
            return httpx.Response(200, json=action(7))
        return httpx.Response(404 if len(self.seen) > 2 else 200, json=detail(7, password="hunter2", hostname=None))


@pytest.mark.anyio
class TestHandle:
    """A model's methods are those of the client that it came from."""

    @pytest.mark.parametrize(
        ("call", "request_made"),
        [
            (lambda server: server.refresh(), ("GET", "/api/v1/servers/7/", None)),
            (lambda server: server.start(), ("POST", "/api/v1/servers/7/start/", None)),
            (lambda server: server.stop(timeout=5), ("POST", "/api/v1/servers/7/stop/", None)),
            (lambda server: server.reboot(timeout=None), ("POST", "/api/v1/servers/7/reboot/", None)),
            (
                lambda server: server.replace(name="a", hostname="b.example.com", backups_enabled=True),
                ("PUT", "/api/v1/servers/7/", {"name": "a", "hostname": "b.example.com", "backups_enabled": True}),
            ),
            (lambda server: server.update(hostname=None), ("PATCH", "/api/v1/servers/7/", {"hostname": None})),
            (lambda server: server.delete(), ("DELETE", "/api/v1/servers/7/", None)),
            (lambda server: server.wait_until(status="active", timeout=5), ("GET", "/api/v1/servers/7/", None)),
        ],
        ids=["refresh", "start", "stop", "reboot", "replace", "update", "delete", "wait_until"],
    )
    async def test_each_method_makes_its_call(self, call: Any, request_made: tuple[str, str, Any]) -> None:
        requests = Requests()
        async with Client("vps_test", transport=requests.transport) as client:
            server = await client.servers.get(7)

            await call(server)

        assert request_made in requests.seen[1:]

    async def test_waiting_for_the_end_ends_with_it(self) -> None:
        requests = Requests()
        async with Client("vps_test", transport=requests.transport) as client:
            server = await client.servers.get(7)
            await server.delete()

            await server.wait_until_deleted(timeout=5)

        assert [method for method, *_ in requests.seen] == ["GET", "DELETE", "GET"]

    @pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
    async def test_a_copy_has_the_data_and_no_client(self, make: Any) -> None:
        requests = Requests()
        async with Client("vps_test", transport=requests.transport) as client:
            server = await client.servers.get(7)
            made = make(server)

            with pytest.raises(ConfigurationError) as caught:
                await made.refresh()

        assert made == server
        assert made.extra == {"password": "hunter2"}
        assert exact(attrs.asdict(made, filter=_data)) == exact(attrs.asdict(server, filter=_data))
        assert str(caught.value) == "this Server is a copy without a client: use client.servers.get(7)"
        assert len(requests.seen) == 1

    async def test_waiting_for_an_action_ends_with_the_server_it_led_to(self) -> None:
        requests = Requests()
        async with Client("vps_test", transport=requests.transport) as client:
            accepted = await client.servers.start(7)

            server = await accepted.wait(timeout=5)

        assert server == Server.from_dict(detail(7, password="hunter2", hostname=None))
        assert [method for method, *_ in requests.seen] == ["POST", "GET"]

    @pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
    async def test_a_copied_action_has_the_data_and_no_client(self, make: Any) -> None:
        async with Client("vps_test", transport=Requests().transport) as client:
            accepted = await client.servers.start(7)
            made = make(accepted)

            with pytest.raises(ConfigurationError) as caught:
                await made.wait()

        assert made == accepted
        assert accepted.server == ServerRef(id=7, name="web-01", status=ServerStatus.STARTING)
        assert str(caught.value) == (
            "this Action is a copy without a client: use client.servers.wait_until(7, status=...)"
        )

    @pytest.mark.parametrize(
        "call",
        [
            lambda server: server.start(),
            lambda server: server.stop(),
            lambda server: server.reboot(),
            lambda server: server.delete(),
            lambda server: server.update(name="a"),
            lambda server: server.replace(name="a", hostname=None, backups_enabled=False),
            lambda server: server.wait_until(status="active"),
            lambda server: server.wait_until_deleted(),
        ],
        ids=["start", "stop", "reboot", "delete", "update", "replace", "wait_until", "wait_until_deleted"],
    )
    async def test_without_a_client_every_method_says_so(self, call: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"use client\.servers\.get\('a7'\)"):
            await call(Server.from_dict({"id": "a7"}))

    async def test_an_action_made_by_hand_has_no_client(self) -> None:
        assert ACTION._command is None
        with pytest.raises(ConfigurationError, match="a copy without a client"):
            await ACTION.wait(timeout=1)


def _data(field: attrs.Attribute[Any], value: Any) -> bool:
    return not field.name.startswith("_") and not isinstance(value, datetime)
