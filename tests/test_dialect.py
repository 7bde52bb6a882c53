"""What the vendor's newer clients give under other names is read as well, and nothing of it is lost."""

from __future__ import annotations

from typing import Any

import pytest

from vpsorg_async._models import OperatingSystem, Plan, Server


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
            (
                {"operating_system_version": {"uuid": "c3", "name": "12"}},
                OperatingSystem(id="c3", name="12", extra={"uuid": "c3"}),
            ),
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
            (
                {"plan": {"uuid": "9b2f", "ram": "4", "ram_unit": "GB", "cpu": 2, "disk_space": 80, "transfer": 2}},
                Plan(
                    id="9b2f",
                    vcpus=2,
                    memory=4096,
                    storage=80,
                    bandwidth=2,
                    extra={"uuid": "9b2f", "ram": "4", "ram_unit": "GB", "cpu": 2, "disk_space": 80, "transfer": 2},
                ),
            ),
            ({"plan": {"id": 1, "vcpus": 4, "cpu": 2}}, Plan(id=1, vcpus=4, extra={"cpu": 2})),
            ({"plan": {"vcpus": "4", "cpu": 2}}, Plan(extra={"vcpus": "4", "cpu": 2})),
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

    def test_a_plan_with_a_secret(self) -> None:
        server = Server.from_dict({"id": 7, "plan": {"cpu": 2, "token": "x"}})

        assert server.plan == Plan(vcpus=2, extra={"cpu": 2})
        assert Server.from_dict(server.to_dict()) == server

    def read(self, data: dict[str, Any]) -> Server:
        """Return the server, which must survive the round trip with every value that served it."""
        server = Server.from_dict({"id": 7, **data})
        written = server.to_dict()
        assert Server.from_dict(written) == server
        for key, value in data.items():
            if isinstance(value, dict):
                # What was read under another name is there under its own as well.
                assert written[key] == {**written[key], **value}
            elif value is not None:
                assert written[key] == value
        return server
