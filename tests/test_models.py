"""The models read whatever has an id, lose nothing of it, and show no secret."""

from __future__ import annotations

import copy
import json
import pickle
import typing

from datetime import UTC, datetime
from typing import Any

import attrs
import httpx
import pytest

from tests.helpers import action, detail
from tests.helpers_models import contract, exact, is_data
from vpsorg_async._client import Client
from vpsorg_async._errors import ConfigurationError
from vpsorg_async._models import (
    Action,
    OperatingSystem,
    Plan,
    ResourceUsage,
    Server,
    ServerRef,
    ServerStatus,
    StatusName,
)


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
        assert "extra=<'hostname'>" in repr(server)
        assert repr(server.plan).endswith("description=None, extra=<'key'>)")

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
        assert (server.password, made.password, made.extra) == ("hunter2", None, {})
        assert exact(attrs.asdict(made, filter=is_data)) == exact(attrs.asdict(server, filter=is_data))
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
            "this Action is a copy without a client: use client.servers.bind(action), then action.wait()"
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
