"""The nine endpoints, as VPS.org API documentation describes them."""

from __future__ import annotations

import pytest

from tests.sandbox.conftest import DETAIL, ENOUGH, LISTED, SPEC
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

CREATED = {
    "id": 12347,
    "name": "web-server-02",
    "hostname": "web02.example.com",
    "status": "provisioning",
    "ip_address": None,
    "location": "us-west",
    "plan": {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4096, "storage": 80},
    "os": {"id": 5, "name": "Ubuntu 22.04 LTS"},
    "backups_enabled": True,
    "created_at": "2025-01-16T15:30:00Z",
    "updated_at": "2025-01-16T15:30:00Z",
    "message": "Server is being provisioned. This may take 2-5 minutes.",
}


async def stop(api, sandbox):
    assert (await api.post("/servers/12345/stop/")).status_code == 200
    sandbox.advance(ENOUGH)


class TestDocumentedExamples:
    async def test_the_list_is_the_documented_one(self, api):
        """X1: the list has the two servers, and no links as it has one page."""
        answer = await api.get("/servers/")

        assert (answer.status_code, answer.json()) == (200, LISTED)

    async def test_the_answer_to_a_create_is_the_documented_one(self, api):
        """X1: every field is equal, including the id and the time."""
        answer = await api.post("/servers/", json=SPEC)

        assert (answer.status_code, answer.json()) == (201, CREATED)

    async def test_the_detail_is_the_documented_one(self, api, sandbox):
        """X1: every field is equal, except the resource usage, which changes with time."""
        sandbox.advance(900)
        await api.patch("/servers/12345/", json={"name": "web-server-01"})

        answer = (await api.get("/servers/12345/")).json()
        usage = answer.pop("resource_usage")

        assert answer == DETAIL
        assert {name: type(value) for name, value in usage.items()} == {
            "cpu_percent": float,
            "memory_used": int,
            "disk_used": int,
            "bandwidth_used": int,
        }

    @pytest.mark.parametrize(
        ("command", "status"), [("start", "starting"), ("stop", "stopping"), ("reboot", "rebooting")]
    )
    async def test_the_answer_to_a_command_is_the_documented_one(self, api, sandbox, command, status):
        """X1: the command is accepted, and the response has the transitional status."""
        if command == "start":
            await stop(api, sandbox)

        answer = await api.post(f"/servers/12345/{command}/")

        server = {"id": 12345, "name": "web-server-01", "status": status}
        assert answer.status_code == 200
        assert answer.json() == {"status": "success", "message": f"Server is {status}", "server": server}

    async def test_put_and_patch_answer_the_whole_server(self, api):
        """X1: both responses have the shape of the detail."""
        settings = {"name": "web-1", "hostname": None, "backups_enabled": False}

        put = await api.put("/servers/12345/", json=settings)
        patched = await api.patch("/servers/12345/", json={"hostname": "a.example.com"})

        assert (put.status_code, patched.status_code) == (200, 200)
        assert put.json().keys() == DETAIL.keys() | {"resource_usage"}
        assert {name: put.json()[name] for name in settings} == settings
        assert {name: patched.json()[name] for name in settings} == {**settings, "hostname": "a.example.com"}
        assert patched.json()["updated_at"] == "2025-01-16T15:30:00Z"

    async def test_a_deleted_server_is_gone(self, api):
        """X1: the response is a 204 without a body; later requests are 404."""
        deleted = await api.delete("/servers/12345/")

        assert (deleted.status_code, deleted.content) == (204, b"")
        for method, path in [("GET", ""), ("DELETE", ""), ("POST", "start/")]:
            again = await api.request(method, f"/servers/12345/{path}")
            assert (again.status_code, again.json()) == (404, {"detail": "Not found."})

    async def test_the_documented_parameters_filter(self, api, sandbox):
        """X1: by status, by location, and by both."""
        await stop(api, sandbox)

        async def ids(**query):
            answer = (await api.get("/servers/", params=query)).json()
            return answer["count"], [server["id"] for server in answer["results"]]

        assert await ids(status="stopped") == (1, [12345])
        assert await ids(location="us-east") == (1, [12346])
        assert await ids(status="active", location="us-west") == (0, [])
        assert await ids(status="", location="") == (2, [12345, 12346])


class TestRefusals:
    async def test_used_up_credits_are_402(self, api, sandbox):
        """X2: each create uses one credit; initial servers use none."""
        sandbox.add_account("vps_poor", credits=2)
        poor = {"Authorization": "Bearer vps_poor"}

        answers = [await api.post("/servers/", json=SPEC, headers=poor) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [201, 201, 402]
        assert answers[2].json() == {"detail": "Insufficient credits."}
        assert len(sandbox.servers) == 4

    async def test_a_quota_bounds_how_many_there_are_at_once(self, api, sandbox):
        """X2: a delete makes room for a create; a refused create uses no credit."""
        sandbox.add_account("vps_small", quota=2, credits=3)
        small = {"Authorization": "Bearer vps_small"}

        made = [await api.post("/servers/", json=SPEC, headers=small) for _ in range(3)]
        await api.delete(f"/servers/{made[0].json()['id']}/", headers=small)
        after = await api.post("/servers/", json=SPEC, headers=small)

        assert [answer.status_code for answer in made] == [201, 201, 400]
        assert made[2].json() == {"detail": "Server quota exceeded (2 of 2)."}
        assert after.status_code == 201

    async def test_an_unknown_status_is_no_filter(self, api):
        """X2: a filter that can match nothing is refused, instead of giving an empty list."""
        answer = await api.get("/servers/", params={"status": "actve"})

        assert answer.status_code == 400
        assert answer.json() == {"status": ["Select a valid choice. actve is not one of the available choices."]}


class TestCommands:
    async def test_start_when_running_is_refused(self, api):
        """X4: the refusal is the documented one."""
        answer = await api.post("/servers/12345/start/")

        assert (answer.status_code, answer.json()) == (400, {"detail": "Server is already running."})

    @pytest.mark.parametrize("command", ["stop", "reboot"])
    async def test_what_needs_a_running_server_is_refused_when_stopped(self, api, sandbox, command):
        """X4: the refusal is the documented one."""
        await stop(api, sandbox)

        answer = await api.post(f"/servers/12345/{command}/")

        assert (answer.status_code, answer.json()) == (400, {"detail": "Server is not running."})

    @pytest.mark.parametrize(
        ("began", "status"),
        [("start", "starting"), ("stop", "stopping"), ("reboot", "rebooting"), ("create", "provisioning")],
    )
    async def test_nothing_is_accepted_in_transition(self, api, sandbox, began, status):
        """X4: every command is refused in every transitional status, which stays the same."""
        if began == "start":
            await stop(api, sandbox)
        path = "/servers/" if began == "create" else f"/servers/12345/{began}/"
        server = (await api.post(path, json=SPEC)).json()
        server_id = server.get("id", 12345)

        for command in ("start", "stop", "reboot"):
            answer = await api.post(f"/servers/{server_id}/{command}/")
            assert (answer.status_code, answer.json()) == (400, {"detail": f"Server is {status}."})

        assert (await api.get(f"/servers/{server_id}/")).json()["status"] == status

    async def test_a_command_takes_its_time_and_moves_updated_at_twice(self, api, sandbox):
        """X1: `updated_at` changes when the command begins and when it ends."""
        await api.post("/servers/12345/reboot/")
        during = sandbox.servers[0]
        sandbox.advance(19)
        still = sandbox.servers[0]
        sandbox.advance(41)
        after = sandbox.servers[0]

        assert [server["status"] for server in (during, still, after)] == ["rebooting", "rebooting", "active"]
        assert during["updated_at"] == still["updated_at"] == "2025-01-16T15:30:00Z"
        assert "2025-01-16T15:30:20Z" <= after["updated_at"] <= "2025-01-16T15:31:00Z"

    async def test_a_new_server_gets_its_addresses_when_it_is_active(self, api, sandbox):
        """X1: two to five minutes pass until then."""
        await api.post("/servers/", json=SPEC)
        sandbox.advance(119)
        before = sandbox.servers[-1]
        sandbox.advance(181)
        after = sandbox.servers[-1]

        assert [before[name] for name in ("status", "ip_address", "ipv6_address")] == ["provisioning", None, None]
        assert [after[name] for name in ("status", "ip_address", "ipv6_address")] == [
            "active",
            "203.0.113.12",
            "2001:0db8::3",
        ]


SIZES = [
    ({"page_size": "1000"}, 100),
    ({"page_size": "0"}, 20),
    ({"page_size": "x"}, 20),
    ({"page": "11"}, 5),
    ({"page": "last"}, 5),
    ({"page_size": "100", "page": "3"}, 5),
]


class TestPages:
    @pytest.fixture
    def sandbox(self):
        return Sandbox(servers=205)

    async def test_pages_are_linked_both_ways(self, api):
        """X1: a page has 20 servers, and the links keep the query."""
        first = (await api.get("/servers/", params={"location": ""})).json()
        second = (await api.get(first["next"])).json()

        assert (first["count"], len(first["results"]), first["previous"]) == (205, 20, None)
        assert first["next"].endswith("/api/v1/servers/?location=&page=2")
        assert second["previous"].endswith("/api/v1/servers/?location=")
        assert [server["id"] for server in second["results"]] == list(range(12365, 12385))

    async def test_following_next_gives_each_server_once(self, api):
        """X1: the `next` of the last page is null."""
        page = (await api.get("/servers/", params={"page_size": 50})).json()
        ids = []
        while True:
            ids += [server["id"] for server in page["results"]]
            if page["next"] is None:
                break
            page = (await api.get(page["next"])).json()

        assert ids == list(range(12345, 12550))

    async def test_sizes_are_bounded(self, api):
        """X1: a page has at most 100 servers; an invalid size means 20."""
        for query, length in SIZES:
            answer = await api.get("/servers/", params=query)
            assert (query, len(answer.json()["results"])) == (query, length)

    async def test_a_page_past_the_end_is_404(self, api):
        """X2: an invalid page is 404 too."""
        for page in ("12", "0", "-1", "x", "", "1e1", "9" * 30):
            answer = await api.get("/servers/", params={"page": page})
            assert (page, answer.status_code, answer.json()) == (page, 404, {"detail": "Invalid page."})


STARTER = {
    "id": 5,
    "name": "Starter VPS",
    "slug": "starter",
    "vcpus": 1,
    "memory": 2048,
    "storage": 40,
    "bandwidth": 1024,
    "price_monthly": 5.0,
    "price_hourly": 0.007,
    "available": True,
    "locations": ["us-west", "us-east", "eu-central"],
    "description": "1 vCPU, 2 GB of memory, 40 GB of disk",
}


class TestPlans:
    async def test_a_plan_is_the_documented_one(self, api):
        """X1: in the list and alone."""
        plans = (await api.get("/plans/")).json()

        assert (plans["count"], plans["results"][4]) == (5, STARTER)
        assert (await api.get("/plans/5/")).json() == STARTER
        assert {plan["slug"] for plan in plans["results"]} >= {"standard", "starter"}

    async def test_a_server_s_plan_agrees_with_it(self, api):
        """The documentation gives its ids in two ways; the sandbox keeps to one."""
        shown = (await api.get("/servers/12345/")).json()["plan"]
        plan = (await api.get(f"/plans/{shown['id']}/")).json()

        assert plan == plan | shown

    @pytest.mark.parametrize(
        ("location", "slugs"),
        [
            ("us-west", ["standard", "performance", "business", "enterprise", "starter"]),
            ("ap-south", ["standard", "performance", "business", "enterprise"]),
            ("mars", []),
        ],
    )
    async def test_the_list_may_be_that_of_a_location(self, api, location, slugs):
        """X1: an unknown one has none."""
        answer = await api.get("/plans/", params={"location": location})

        assert [plan["slug"] for plan in answer.json()["results"]] == slugs

    @pytest.mark.parametrize(
        "plan_id", ["0", "6", "-1", "starter", "x", "1" * 30, "9b2f0000-0000-0000-0000-000000000000"]
    )
    async def test_one_that_is_not_there_is_404(self, api, plan_id):
        """X2: so is one by its slug."""
        assert (await api.get(f"/plans/{plan_id}/")).status_code == 404


class TestAccount:
    async def test_it_tells_whose_token_it_is_and_what_it_allows(self, api, sandbox):
        """X1: each account has its own holder; a token that only reads may ask too."""
        sandbox.add_account("vps_other")
        sandbox.add_account("vps_reader", read_only=True)
        headers = [{}, *({"Authorization": f"Bearer {token}"} for token in ("vps_other", "vps_reader"))]

        first, other, reader = [(await api.get("/account/me/", headers=one)).json() for one in headers]

        assert first == {
            "account": {
                "email": "account-1@example.com",
                "first_name": "Sandbox",
                "last_name": "Account 1",
                "company_name": "Example Inc.",
                "created_at": "2024-06-15",
            },
            "token": {"name": "sandbox", "permissions": ["servers:*"]},
        }
        assert other["account"]["email"] == "account-2@example.com"
        assert (reader["account"], reader["token"]["permissions"]) == (first["account"], ["servers:read"])

    @pytest.mark.parametrize("value", ["", "Bearer vps_wrong"])
    async def test_a_token_that_opens_nothing_is_401(self, api, value):
        """X2: as everywhere."""
        assert (await api.get("/account/me/", headers={"Authorization": value})).status_code == 401
