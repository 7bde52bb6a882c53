"""What the nine endpoints send and what they make of the documented answers."""

from __future__ import annotations

import datetime as dt
import json

import httpx
import pytest
import respx

from tests.helpers import ROOT
from vpsorg_async import Action, Client, Plan, Server, ServerRef, ServerSpec, ServerStatus


BASE = "https://admin.vps.org/api/v1"


def documented(name):
    return json.loads((ROOT / "tests" / "contract" / f"{name}.json").read_text())


def other_action(message, status):
    answer = documented("action")
    return {**answer, "message": message, "server": {**answer["server"], "status": status}}


@pytest.fixture
def router():
    with respx.mock(base_url=BASE, assert_all_called=True) as mocked:
        yield mocked


@pytest.fixture
def client(router):
    return Client("vps_secret", transport=httpx.MockTransport(router.async_handler), user_agent="app/1.0")


def body_of(route):
    """Return what the route was sent, after what each request must have was checked."""
    [call] = route.calls
    request = call.request
    assert request.headers["Authorization"] == "Bearer vps_secret"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"].startswith("app/1.0 vpsorg-async/")
    assert "Cookie" not in request.headers
    return json.loads(request.content) if request.content else None


@pytest.mark.anyio
class TestTheNine:
    async def test_list(self, router, client):
        route = router.get("/servers/", params={"page_size": "100"}).respond(json=documented("list"))

        servers = await client.servers.list()

        assert body_of(route) is None
        assert [server.to_dict() for server in servers] == documented("list")["results"]
        assert servers[1].plan == Plan(id=2, name="Performance VPS", vcpus=4, memory=8192, storage=160)

    async def test_list_with_filters(self, router, client):
        route = router.get("/servers/").respond(json=documented("list"))

        await client.servers.list(status="active", location="us-west")

        assert dict(route.calls[0].request.url.params) == {
            "page_size": "100",
            "location": "us-west",
            "status": "active",
        }

    async def test_create_with_all_fields(self, router, client):
        route = router.post("/servers/").respond(201, json=documented("created"))

        server = await client.servers.create(
            name="web-server-02",
            plan_id=1,
            os_id=5,
            location="us-west",
            hostname="web02.example.com",
            ssh_key_id=42,
            backups_enabled=True,
        )

        assert body_of(route) == {
            "name": "web-server-02",
            "plan_id": 1,
            "os_id": 5,
            "location": "us-west",
            "hostname": "web02.example.com",
            "ssh_key_id": 42,
            "backups_enabled": True,
        }
        assert server.to_dict() == documented("created")
        assert server.message == "Server is being provisioned. This may take 2-5 minutes."
        assert server.ip_address is None

    async def test_create_with_what_is_required(self, router, client):
        route = router.post("/servers/").respond(201, json=documented("created"))

        await client.servers.create(name="web-server-02", plan_id="p-1", os_id="o-5", location="us-west")

        assert body_of(route) == {
            "name": "web-server-02",
            "plan_id": "p-1",
            "os_id": "o-5",
            "location": "us-west",
            "backups_enabled": False,
        }

    @pytest.mark.parametrize("server_id", [12345, "12345", Server(id=12345, name="", status="")], ids=type)
    async def test_get(self, router, client, server_id):
        route = router.get("/servers/12345/").respond(json=documented("detail"))

        server = await client.servers.get(server_id)

        assert body_of(route) is None
        assert server.to_dict() == documented("detail")
        assert server.status is ServerStatus.ACTIVE
        assert server.created_at == dt.datetime(2025, 1, 10, 14, 30, tzinfo=dt.UTC)

    async def test_replace(self, router, client):
        route = router.put("/servers/12345/").respond(json=documented("detail"))

        server = await client.servers.replace(12345, name="new-name", hostname=None, backups_enabled=False)

        assert body_of(route) == {"name": "new-name", "hostname": None, "backups_enabled": False}
        assert server.id == 12345

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": "new-name"},
            {"hostname": None},
            {"hostname": "é.example"},
            {"backups_enabled": False},
            {"name": "a", "hostname": "b.example", "backups_enabled": True},
        ],
    )
    async def test_update_sends_what_is_given(self, router, client, changes):
        route = router.patch("/servers/12345/").respond(json=documented("detail"))

        server = await client.servers.update(12345, **changes)

        assert body_of(route) == changes
        assert server.id == 12345

    async def test_delete(self, router, client):
        route = router.delete("/servers/12345/").respond(204)

        assert await client.servers.delete(12345) is None

        assert body_of(route) is None

    @pytest.mark.parametrize("body", ['{"detail": "bye"}', "null", "", "\r\n"])
    async def test_a_delete_that_is_answered_with_something_else_is_done_too(self, router, client, body):
        router.delete("/servers/12345/").respond(200, text=body)

        assert await client.servers.delete(12345) is None

    @pytest.mark.parametrize(
        ("command", "message", "status"),
        [
            ("start", "Server is starting", "starting"),
            ("stop", "Server is stopping", "stopping"),
            ("reboot", "Server is rebooting", "rebooting"),
        ],
    )
    async def test_commands(self, router, client, command, message, status):
        route = router.post(f"/servers/12345/{command}/").respond(json=other_action(message, status))

        action = await getattr(client.servers, command)(12345)

        assert body_of(route) is None
        ref = ServerRef(id=12345, name="web-server-01", status=ServerStatus(status))
        assert action == Action(name=command, status="success", message=message, server=ref)


@pytest.mark.anyio
class TestArguments:
    @pytest.mark.parametrize(
        ("changes", "error", "text"),
        [
            ({"name": "web 02"}, ValueError, "name='web 02': give letters, digits and hyphens, at least one"),
            ({"name": "web-02\n"}, ValueError, "name='web-02\\n': give letters, digits and hyphens, at least one"),
            ({"name": ""}, ValueError, "name='': give letters, digits and hyphens, at least one"),
            ({"name": None}, TypeError, "name must be a str, not None"),
            ({"plan_id": True}, TypeError, "plan_id must be an int or a str, not True"),
            ({"plan_id": 1.0}, TypeError, "plan_id must be an int or a str, not 1.0"),
            ({"os_id": None}, TypeError, "os_id must be an int or a str, not None"),
            ({"ssh_key_id": []}, TypeError, "ssh_key_id must be an int or a str, not []"),
            ({"plan_id": ""}, ValueError, "plan_id='' is no id: give 0 or more, or a str that is not empty"),
            ({"plan_id": -1}, ValueError, "plan_id=-1 is no id: give 0 or more, or a str that is not empty"),
            ({"os_id": -5}, ValueError, "os_id=-5 is no id: give 0 or more, or a str that is not empty"),
            ({"ssh_key_id": -1}, ValueError, "ssh_key_id=-1 is no id: give 0 or more, or a str that is not empty"),
            ({"location": ""}, ValueError, "location='' is empty: give a datacenter code such as 'us-west'"),
            ({"location": None}, TypeError, "location must be a datacenter code such as 'us-west', not None"),
            ({"hostname": 5}, TypeError, "hostname must be a str or None, not 5"),
            ({"backups_enabled": 1}, TypeError, "backups_enabled must be a bool, not 1"),
        ],
    )
    async def test_what_cannot_be_meant_is_never_sent(self, client, changes, error, text):
        spec = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west", **changes}

        with pytest.raises(error) as caught:
            await client.servers.create(**spec)

        assert str(caught.value) == text

    async def test_an_update_of_nothing_is_never_sent(self, client):
        with pytest.raises(TypeError) as caught:
            await client.servers.update(7)

        assert str(caught.value) == "update() needs at least one of name, hostname and backups_enabled"


@pytest.mark.anyio
class TestSpecs:
    SPEC = ServerSpec(name="web-02", plan_id=1, os_id=5, location="us-west", backups_enabled=True)

    async def test_a_spec_is_sent_like_its_fields(self, router, client):
        route = router.post("/servers/").respond(201, json=documented("created"))

        made = await client.servers.create(self.SPEC)

        assert made == Server.from_dict(documented("created"))
        assert body_of(route) == {
            "name": "web-02",
            "plan_id": 1,
            "os_id": 5,
            "location": "us-west",
            "backups_enabled": True,
        }

    @pytest.mark.parametrize(
        ("given", "fields", "words"),
        [
            ([SPEC], {"name": "web-03"}, "not both"),
            ([SPEC], {"plan_id": 0}, "not both"),
            ([SPEC], {"hostname": "a.example.com"}, "not both"),
            ([{"name": "web-02"}], {}, "takes a ServerSpec"),
            ([], {}, "create() needs name, plan_id, os_id, location, or a ServerSpec"),
            ([], {"name": "a", "os_id": 1, "location": "x"}, "create() needs plan_id, or a ServerSpec"),
        ],
    )
    async def test_neither_both_nor_none_of_it(self, client, given, fields, words):
        with pytest.raises(TypeError) as caught:
            await client.servers.create(*given, **fields)

        assert words in str(caught.value)
