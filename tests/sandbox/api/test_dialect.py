"""The dialect of the vendor's own programs, requested with plain httpx."""

from __future__ import annotations

import pytest

from tests.sandbox.conftest import AUTHORIZED, DETAIL, ENOUGH, FIRST, LISTED, SECOND, SPEC, in_process
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._api.dialect import BY_UUID, DOCUMENTED, DOCUMENTED_WITH_UUID, dialect_of
from vpsorg_async.sandbox._api.messages import ApiRequest
from vpsorg_async.sandbox.faults import Fault


pytestmark = pytest.mark.anyio

AS_VPS_MCP = {"Accept": "application/json", "Content-Type": "application/json"}  # beside httpx's own User-Agent
AS_VPS = {"User-Agent": "python-requests/2.32.3"}
ITEM = {
    "uuid": FIRST,
    "name": "web-server-01",
    "hostname": "web01.example.com",
    "status": "active",
    "deployed": True,
    "ip_address": "203.0.113.10",
    "ipv4_addresses": ["203.0.113.10"],
    "ipv6_addresses": ["2001:0db8::1"],
    "location_name": "US West",
    "plan_name": "Standard VPS",
    "os_name": "Ubuntu 22.04 LTS",
    "created_at": "2025-01-10T14:30:00Z",
    "updated_at": "2025-01-15T10:20:00Z",
}
PLAN = {
    "name": "Standard VPS",
    "ram": 4,
    "ram_unit": "GB",
    "cpu": 2,
    "cpu_type_name": "shared",
    "disk_space": 80,
    "transfer": 2048,
    "monthly_price": "20.00",
    "hourly_price": "0.0274",
}
FLAT = ("location_name", "plan_name", "os_name")
NESTED = {
    **{name: value for name, value in ITEM.items() if name not in FLAT},
    "username": "root",
    "backups_enabled": True,
    "location": {"id": 1, "name": "US West", "country_name": "United States", "country_code": "US"},
}


async def one_of_each(api):
    """Return the first plan, location and system version of the catalogues."""
    plans, locations, systems = [
        (await api.get(f"/{name}/", headers=AS_VPS_MCP)).json()["results"]
        for name in ("plans", "locations", "operating-systems")
    ]
    return plans[0], locations[0], systems[0]["versions"][0]


async def body_of_create(api, **changes):
    plan, location, version = await one_of_each(api)
    body = {"hostname": "my-server", "plan": plan["uuid"], "location": location["id"], "os_version": version["uuid"]}
    return {**body, **changes}


class TestLists:
    async def test_a_list_asked_for_by_the_page_is_flat(self, api):
        """This is the request of `vps-mcp`: names replace nested objects, and a UUID replaces the id."""
        answer = await api.get("/servers/", params={"page": 1, "page_size": 1}, headers=AS_VPS_MCP)

        page = answer.json()
        assert {name: page[name] for name in ("count", "previous", "results")} == {
            "count": 2,
            "previous": None,
            "results": [ITEM],
        }
        assert page["next"].endswith("/servers/?page_size=1&page=2")
        second = (await api.get(page["next"], headers=AS_VPS_MCP)).json()
        assert ([item["uuid"] for item in second["results"]], second["next"]) == ([SECOND], None)

    async def test_a_list_asked_for_with_requests_has_uuids_too(self, api):
        """This is the request of `vps`; all documented fields are present."""
        answer = await api.get("/servers/", headers=AS_VPS)

        documented = LISTED["results"]
        assert answer.json() == {
            "count": 2,
            "results": [{**documented[0], "uuid": FIRST}, {**documented[1], "uuid": SECOND}],
        }

    async def test_faults_of_one_server_find_it_by_its_uuid(self, sandbox):
        """This holds for a flat list too."""
        sandbox.faults.add(Fault.omit(1, server_id=12345), Fault.as_status("migrating", server_id=SECOND))
        async with in_process(sandbox) as api:
            page = (await api.get("/servers/", params={"page_size": 20}, headers=AS_VPS_MCP)).json()

        assert [(item["uuid"], item["status"]) for item in page["results"]] == [(SECOND, "migrating")]


class TestOneServer:
    async def test_a_detail_asked_for_by_uuid_nests_other_objects(self, api):
        """Location, plan and system are objects with UUIDs."""
        answer = (await api.get(f"/servers/{FIRST}/")).json()
        usage = answer.pop("resource_usage")
        plan, system, version = [answer.pop(name) for name in ("plan", "operating_system", "operating_system_version")]

        assert answer == NESTED
        assert {name: value for name, value in plan.items() if name != "uuid"} == PLAN
        assert (system["name"], version["name"]) == ("Ubuntu", "Ubuntu 22.04 LTS")
        assert usage.keys() == {"cpu_percent", "memory_used", "disk_used", "bandwidth_used"}
        assert (await api.get(f"/servers/{FIRST.upper()}/")).status_code == 200

    @pytest.mark.parametrize(
        ("action", "status"), [("stop", "stopping"), ("hard_stop", "stopping"), ("restart", "rebooting")]
    )
    async def test_power_names_the_command_in_the_body(self, api, action, status):
        """The response is that of any command, with the UUID."""
        answer = await api.post(f"/servers/{FIRST}/power/", json={"action": action})

        assert answer.status_code == 200
        assert answer.json() == {
            "status": "success",
            "message": f"Server is {status}",
            "server": {"uuid": FIRST, "name": "web-server-01", "status": status},
        }

    async def test_power_starts_what_is_stopped(self, api, sandbox):
        """It refuses to start a running server."""
        refused = await api.post(f"/servers/{FIRST}/power/", json={"action": "start"})
        await api.post(f"/servers/{FIRST}/power/", json={"action": "stop"})
        sandbox.advance(ENOUGH)
        accepted = await api.post(f"/servers/{FIRST}/power/", json={"action": "start"})

        assert (refused.status_code, refused.json()) == (400, {"detail": "Server is already running."})
        assert accepted.json()["server"]["status"] == "starting"

    async def test_power_refuses_what_is_no_command(self, api):
        """X2: a missing action is refused too."""
        wrong = await api.post(f"/servers/{FIRST}/power/", json={"action": "jump"})
        missing = await api.post(f"/servers/{FIRST}/power/", json=[])

        assert (wrong.status_code, wrong.json()) == (400, {"action": ['"jump" is not a valid choice.']})
        assert (missing.status_code, missing.json()) == (400, {"action": ["This field is required."]})

    async def test_a_resize_gives_it_another_plan(self, api, sandbox):
        """The plan changes at once; it is refused during a command, and for an unknown plan."""
        plan = (await api.get("/plans/", headers=AS_VPS_MCP)).json()["results"][1]

        answer = await api.post(f"/servers/{FIRST}/resize/", json={"plan": plan["uuid"]})
        wrong = await api.post(f"/servers/{FIRST}/resize/", json={"plan": FIRST})
        await api.post(f"/servers/{FIRST}/power/", json={"action": "stop"})
        busy = await api.post(f"/servers/{FIRST}/resize/", json={"plan": plan["uuid"]})

        assert (answer.status_code, answer.json()["message"]) == (200, "Server is resized")
        assert sandbox.servers[0]["plan"] == {name: plan[name] for name in DETAIL["plan"]}
        assert (wrong.status_code, list(wrong.json())) == (400, ["plan"])
        assert (busy.status_code, busy.json()) == (400, {"detail": "Server is stopping."})

    @pytest.mark.parametrize("what", ["backup", "snapshot"])
    async def test_a_copy_is_accepted_for_a_server_that_is_there(self, api, what):
        answer = await api.post(f"/servers/{FIRST}/{what}/")
        missing = await api.post(f"/servers/7/{what}/")

        assert (answer.status_code, answer.json()["server"]["uuid"]) == (200, FIRST)
        assert answer.json()["message"] == f"{what.capitalize()} is being made"
        assert missing.status_code == 404

    async def test_it_is_changed_and_deleted_by_its_uuid(self, api):
        """Both keys name the same server."""
        changed = await api.patch(f"/servers/{FIRST}/", json={"name": "web-server-02"})
        documented = await api.get("/servers/12345/")
        deleted = await api.delete(f"/servers/{FIRST}/")

        assert (changed.json()["uuid"], changed.json()["name"]) == (FIRST, "web-server-02")
        assert documented.json()["name"] == "web-server-02"
        assert deleted.status_code == 204
        for key in (FIRST, "12345"):
            assert (await api.get(f"/servers/{key}/")).status_code == 404

    async def test_another_account_s_uuid_is_404(self, api, sandbox):
        """X2: its id is 404 too."""
        sandbox.add_account("vps_other")

        for method, path in [("GET", ""), ("DELETE", ""), ("POST", "power/")]:
            answer = await api.request(
                method, f"/servers/{FIRST}/{path}", headers={"Authorization": "Bearer vps_other"}
            )
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


class TestCreates:
    async def test_a_server_is_made_of_what_the_catalogues_list(self, api, sandbox):
        """Only this response has the password; the documented responses show the same server."""
        body = await body_of_create(api, hostname="my-server.example.com", ssh_keys=[FIRST])

        answer = await api.post("/servers/", json=body)

        made = answer.json()
        assert answer.status_code == 201
        assert (made["name"], made["hostname"]) == ("my-server", "my-server.example.com")
        assert (made["status"], made["deployed"], made["ipv4_addresses"]) == ("provisioning", False, [])
        assert (made["plan"]["uuid"], made["location"]["id"]) == (body["plan"], body["location"])
        assert made["operating_system_version"]["uuid"] == body["os_version"]
        assert len(made["password"]) == 16
        sandbox.advance(ENOUGH)
        after = (await api.get(f"/servers/{made['uuid']}/")).json()
        assert (after["deployed"], after["ipv4_addresses"]) == (True, ["203.0.113.12"])
        assert "password" not in after
        documented = (await api.get("/servers/12347/")).json()
        assert (documented["name"], documented["location"]) == ("my-server", "us-west")
        assert (documented["plan"]["id"], documented["os"]["id"]) == (1, 1)

    async def test_a_wrong_one_names_the_field(self, api, sandbox):
        """X2: no server is created."""
        wrong = {
            "hostname": ("a b", "Enter a valid hostname."),
            "plan": (FIRST, f'Invalid pk "{FIRST}" - object does not exist.'),
            "location": (99, 'Invalid pk "99" - object does not exist.'),
            "os_version": (5, "Must be a valid UUID."),
            "ssh_keys": ("x", 'Expected a list of items but got type "str".'),
        }
        for field, (value, message) in wrong.items():
            answer = await api.post("/servers/", json=await body_of_create(api, **{field: value}))
            assert (answer.status_code, answer.json()) == (400, {field: [message]})
        keys = await api.post("/servers/", json=await body_of_create(api, ssh_keys=["x"]))
        missing = await api.post("/servers/", json={"plan": "x"})

        required = ["This field is required."]
        assert keys.json() == {"ssh_keys": ["Must be a valid UUID."]}
        assert missing.json() == {
            "hostname": required,
            "plan": ["Must be a valid UUID."],
            "location": required,
            "os_version": required,
        }
        assert len(sandbox.servers) == 2

    async def test_a_server_without_a_hostname_goes_by_its_name(self, api):
        """The vendor's programs show only the hostname of a server."""
        await api.post("/servers/", json={**SPEC, "hostname": None})

        page = (await api.get("/servers/", params={"page_size": 20}, headers=AS_VPS_MCP)).json()

        assert page["results"][-1]["hostname"] == "web-server-02"


class TestCatalogues:
    async def test_plans_are_known_by_both_keys(self, api):
        """`vps-mcp` gets each plan with the documented id and the UUID that it reads."""
        answer = (await api.get("/plans/", headers=AS_VPS_MCP)).json()
        first = answer["results"][0]

        documented = DETAIL["plan"]
        assert answer["count"] == len(answer["results"]) == 5
        assert {name: value for name, value in first.items() if name != "uuid"} == documented | PLAN
        assert (await api.get(f"/servers/{FIRST}/")).json()["plan"]["uuid"] == first["uuid"]
        assert (await api.get(f"/plans/{first['uuid']}/")).json() == first

    @pytest.mark.parametrize("headers", [{}, {"Accept": "application/json"}, {"User-Agent": "app/1.0", **AS_VPS_MCP}])
    async def test_another_program_gets_the_documented_plans(self, api, headers):
        """Of what `vps-mcp` reads there is nothing."""
        plans = (await api.get("/plans/", headers=headers)).json()["results"]

        assert {"uuid", "ram", "monthly_price"}.isdisjoint({name for plan in plans for name in plan})

    async def test_one_that_says_it_is_vps_mcp_gets_its_dialect(self, api):
        answer = await api.get("/plans/", headers={"User-Agent": "vps-mcp/0.1.0"})

        assert answer.json()["results"][0]["ram"] == 4

    async def test_locations_are_known_by_both_keys(self, api):
        answer = (await api.get("/locations/")).json()

        assert answer["results"][0] == {
            "id": 1,
            "code": "us-west",
            "name": "US West",
            "country_name": "United States",
            "country_code": "US",
            "is_active": True,
        }
        assert len({location["id"] for location in answer["results"]}) == 6

    async def test_systems_have_versions(self, api):
        """The id of a version is the documented `os_id`."""
        answer = (await api.get("/operating-systems/")).json()

        versions = {
            system["name"]: [(version["id"], version["name"]) for version in system["versions"]]
            for system in answer["results"]
        }
        assert versions == {
            "AlmaLinux": [(1, "AlmaLinux 9")],
            "Rocky Linux": [(2, "Rocky Linux 9")],
            "Debian": [(3, "Debian 12"), (4, "Debian 13")],
            "Ubuntu": [(5, "Ubuntu 22.04 LTS"), (6, "Ubuntu 24.04 LTS")],
        }
        uuids = [one["uuid"] for system in answer["results"] for one in (system, *system["versions"])]
        assert len(set(uuids)) == len(uuids) == 10

    async def test_they_come_by_the_page_where_that_is_asked(self, api):
        """They need a token."""
        second = (await api.get("/plans/", params={"page": 2, "page_size": 3})).json()

        assert ([plan["id"] for plan in second["results"]], second["next"]) == ([4, 5], None)
        assert second["previous"].endswith("/plans/?page_size=3")
        assert (await api.get("/plans/", headers={"Authorization": ""})).status_code == 401
        assert (await api.post("/plans/", json={})).status_code == 405


class TestWhoIsAsking:
    @pytest.mark.parametrize("server_id", ["", "12345"])
    @pytest.mark.parametrize("agent", ["", "curl/8.5.0", "vpsorg-async/0.1.0", "python-httpx/0.28.1"])
    @pytest.mark.parametrize("query", [{}, {"page_size": "100"}, {"page": "2", "page_size": "100"}])
    async def test_who_asks_as_documented_is_answered_so(self, server_id, agent, query):
        """This holds for every library, and for requests with pages."""
        headers = {"user-agent": agent, "accept": "*/*"}

        assert dialect_of(asking(server_id, headers, query)) is DOCUMENTED
        assert dialect_of(asking(server_id, headers, query), SPEC) is DOCUMENTED

    async def test_json_is_asked_for_by_many(self):
        """Only all signs of `vps-mcp` together identify it."""
        accept = {"accept": "application/json"}

        assert (
            dialect_of(asking("", {**accept, "user-agent": "vpsorg-async/0.1.0"}, {"page_size": "100"})) is DOCUMENTED
        )
        assert dialect_of(asking("", {**accept, "user-agent": "python-httpx/0.28.1"}, {})) is DOCUMENTED
        assert dialect_of(asking("", {**accept, "user-agent": "python-httpx/0.28.1"}, {"page_size": "20"})) is BY_UUID

    async def test_requests_own_name_asks_for_uuids_and_no_more(self):
        assert dialect_of(asking("", {"user-agent": "python-requests/2.32.3"}, {})) is DOCUMENTED_WITH_UUID
        assert dialect_of(asking(FIRST, {"user-agent": "python-requests/2.32.3"}, {})) is BY_UUID

    async def test_a_client_called_vps_mcp_always_gets_the_dialect(self):
        """Other programs can thereby ask for the dialect in every request."""
        headers = {"user-agent": "vps-mcp/0.1.0 vpsorg-async/0.1.0"}

        assert dialect_of(asking("", headers, {})) is BY_UUID
        assert dialect_of(asking("12345", headers, {})) is BY_UUID

    async def test_a_create_by_uuids_is_told_by_its_body(self):
        """A body with a `name` is read as the documented one, even if other fields are misspelt."""
        assert dialect_of(asking("", {}, {}), {"hostname": "a", "plan": "x"}) is BY_UUID
        assert dialect_of(asking("", {}, {}), {"name": "a", "plan": 1}) is DOCUMENTED
        assert dialect_of(asking("", {}, {}), ["plan"]) is DOCUMENTED


def asking(server_id, headers, query):
    return ApiRequest(
        access=None, account=None, now=0.0, url="", query=query, server_id=server_id, body=b"", headers=headers
    )


class TestClientOfTheDialect:
    """Our own client, which asks the sandbox for the dialect in every request."""

    async def test_it_reads_good_servers(self):
        sandbox = Sandbox(servers=30)
        sandbox.freeze()
        async with sandbox.client(user_agent="vps-mcp/0.1.0") as client:
            listed = await client.servers.list()
            server = await client.servers.get(FIRST)
            by_name = await client.servers.get_by_name("web-server-01")

        assert len({each.id for each in listed}) == 30
        assert listed[0].id == server.id == by_name.id == FIRST
        for each in (listed[0], server):
            assert (each.name, each.status, each.hostname) == ("web-server-01", "active", "web01.example.com")
            assert (each.location, each.plan.name, each.os.name) == ("US West", "Standard VPS", "Ubuntu 22.04 LTS")
            assert (each.ip_address, each.ipv6_address) == ("203.0.113.10", "2001:0db8::1")
            assert each.created_at.isoformat() == "2025-01-10T14:30:00+00:00"

    async def test_it_carries_a_server_from_its_create_to_its_end(self):
        """Commands and waits use UUIDs; the password is kept apart, and in no repr."""
        sandbox = Sandbox(servers=2)
        async with sandbox.client(user_agent="vps-mcp/0.1.0") as client:
            made = await client.servers.create(name="web-9", plan_id=1, os_id=5, location="us-west")
            active = await made.wait_until(status="active")
            back = await (await active.reboot()).wait()
            stopped = await (await back.stop()).wait()
            started = await (await stopped.start()).wait()
            changed = await started.update(name="web-10")
            await changed.delete()
            await changed.wait_until_deleted()

        assert {server.id for server in (made, active, back, stopped, started, changed)} == {made.id}
        assert isinstance(made.id, str)
        assert (made.status, stopped.status, started.status) == ("provisioning", "stopped", "active")
        assert changed.name == "web-10"
        assert made.password not in repr(made)
        assert len(sandbox.servers) == 2

    async def test_it_reads_them_on_a_socket_too(self):
        """The User-Agent is read from bytes on the wire."""
        from vpsorg_async import Client

        async with (
            Sandbox(servers=2).serve() as base_url,
            Client("vps_sandbox", base_url=base_url, user_agent="vps-mcp/0.1.0") as client,
        ):
            assert [server.id for server in await client.servers.list()] == [FIRST, SECOND]
            assert (await client.servers.get(SECOND)).name == "db-server-01"


def test_the_token_is_not_among_the_headers_that_are_looked_at():
    """No repr of a request can then show the token."""
    from vpsorg_async.sandbox._api.dialect import HEADERS

    assert HEADERS.isdisjoint(name.lower() for name in AUTHORIZED)
