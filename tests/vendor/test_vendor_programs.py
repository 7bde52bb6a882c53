"""The two programs that the vendor publishes, unchanged and as processes of their own, against a served sandbox.

`pip install -e . --group vendor`, then `pytest tests/vendor`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig

from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

SCRIPTS = Path(sysconfig.get_path("scripts"))
SSH = """#!/bin/sh
echo "ssh $*"
"""


@pytest.fixture
def anyio_backend():
    """Return one backend: what is under test runs in processes of its own."""
    return "asyncio"


@pytest.fixture
def sandbox():
    """Return a sandbox with three servers, whose time stands still."""
    sandbox = Sandbox(servers=3)
    sandbox.freeze()
    return sandbox


@pytest.fixture
def base_url(sandbox):
    with sandbox.serve() as base_url:
        yield base_url


class Vps:
    """The command `vps` with a home and a project folder of its own; `ssh` only says how it was called."""

    def __init__(self, folder, base_url):
        self.api_url = base_url.removesuffix("/api/v1")
        self.home, self.project, programs = (folder / name for name in ("home", "project", "bin"))
        for made in (self.home, self.project, programs):
            made.mkdir()
        (programs / "ssh").write_text(SSH)
        (programs / "ssh").chmod(0o755)
        self._environment = {"HOME": str(self.home), "PATH": f"{programs}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

    def __call__(self, *arguments, typed=""):
        """Run it with what is typed; return its exit status, its output and its errors."""
        done = subprocess.run(
            [SCRIPTS / "vps", *arguments],
            cwd=self.project,
            env=self._environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    def login(self, token="vps_sandbox"):
        return self("login", "--api-url", self.api_url, "--token", token)

    @property
    def linked(self):
        """What `vps link` has written about the server."""
        return json.loads((self.project / ".vps-link").read_text())


@pytest.fixture
def vps(tmp_path, base_url):
    return Vps(tmp_path, base_url)


@pytest.fixture
def tools(tmp_path, base_url):
    """Give what opens `vps-mcp` with a token: a function that calls its tools and returns the text they answer."""

    @asynccontextmanager
    async def opened(token="vps_sandbox"):
        environment = {"HOME": str(tmp_path), "VPS_API_TOKEN": token, "VPS_API_URL": base_url}
        program = StdioServerParameters(command=str(SCRIPTS / "vps-mcp"), env=environment, cwd=tmp_path)
        with (tmp_path / "vps-mcp.log").open("a") as log:
            async with stdio_client(program, errlog=log) as streams, ClientSession(*streams) as session:
                await session.initialize()

                async def tool(name, **arguments):
                    answer = await session.call_tool(name, arguments)
                    assert not answer.isError, answer.content
                    return answer.content[0].text

                yield tool

    return opened


def uuids_in(text):
    return re.findall(r"UUID: ([0-9a-f-]{36})", text)


class TestVps:
    def test_login_counts_the_servers_and_keeps_the_token(self, vps):
        """X7: `vps login --api-url`, with the token given or typed."""
        given = vps.login()
        typed = vps("login", "--api-url", vps.api_url, typed="vps_sandbox\n")

        assert given == (0, "Logged in successfully. 3 server(s) found.\n", "")
        assert (typed[0], typed[1].splitlines()[-1]) == (0, "Logged in successfully. 3 server(s) found.")
        kept = json.loads((vps.home / ".vps" / "config.json").read_text())
        assert kept == {"api_url": vps.api_url, "api_token": "vps_sandbox"}

    def test_login_opens_the_token_s_own_account(self, vps, sandbox):
        """X7: and none with a token that opens nothing."""
        sandbox.add_account("vps_other")
        other, wrong = vps.login("vps_other"), vps.login("vps_wrong")

        assert other == (0, "Logged in successfully. 0 server(s) found.\n", "")
        assert (wrong[0], wrong[2]) == (
            1,
            "Error: Invalid or expired API token. Run `vps login` to authenticate.\n",
        )

    def test_link_lists_the_servers_and_links_the_chosen_one(self, vps, sandbox):
        """X7: `vps link`, with its UUID, by which the API then knows it."""
        vps.login()
        status, output, errors = vps("link", typed="2\nshop\nnode\n")

        uuid = vps.linked["server_uuid"]
        lines = output.splitlines()
        assert (status, errors) == (0, "")
        assert lines[2].startswith("  [2] db01.example.com (203.0.113.11) — active [")
        assert f"[{uuid[:8]}]" in lines[2]
        assert "Linked to db01.example.com" in output
        assert vps.linked["hostname"] == "db01.example.com"
        assert (vps.project / "vps.yaml").read_text().startswith("name: shop\ntype: node\n")
        vps("link", "--server", uuid)
        assert (sandbox.calls[-1].path, sandbox.calls[-1].status) == (f"/servers/{uuid}/", 200)

    def test_link_takes_a_server_by_its_uuid(self, vps):
        """X7: `vps link --server`, and says so where there is none of it."""
        vps.login()
        vps("link", typed="1\nshop\nstatic\n")
        uuid = vps.linked["server_uuid"]
        (vps.project / ".vps-link").unlink()

        found, missing = vps("link", "--server", uuid), vps("link", "--server", "12-34")

        assert found == (0, "Linked to web01.example.com\n", "")
        assert vps.linked == {"server_uuid": uuid, "hostname": "web01.example.com"}
        assert missing == (1, "", "Server 12-34 not found.\n")

    def test_ssh_goes_to_the_linked_server_s_address(self, vps):
        """X7: `vps ssh`."""
        vps.login()
        vps("link", typed="3\nshop\nstatic\n")

        status, output, errors = vps("ssh")

        assert (status, output.splitlines()[-1], errors) == (0, "ssh root@203.0.113.12", "")


class TestVpsMcp:
    async def test_it_lists_every_server_by_the_page_and_gets_one(self, tools):
        """X7: `list_servers` and `get_server`: UUID, addresses, place, system, and a plan by name or by what it has."""
        async with tools() as tool:
            first = await tool("list_servers", page_size=2)
            second = await tool("list_servers", page=2, page_size=2)
            beyond = await tool("list_servers", page=3, page_size=2)
            uuid, *others = uuids_in(first + second)
            one = await tool("get_server", server_uuid=uuid)

        listed = [
            "Server: web01.example.com",
            f"  UUID: {uuid}",
            "  Status: active",
            "  IPv4: 203.0.113.10",
            "  IPv6: 2001:0db8::1",
            "  Location: US West",
            "  Plan: Standard VPS",
            "  OS: Ubuntu 22.04 LTS",
            "  Deployed: True",
            "  Created: 2025-01-10T14:30:00Z",
        ]
        assert first.split("\n\n")[0].splitlines() == listed
        assert first.splitlines()[-1] == "Page 1 of 2 (3 total)"
        assert len({uuid, *others}) == 3
        assert beyond == "Error (404): Invalid page."
        listed[6] = "  Plan: 4 GB RAM, 2 vCPUs, 80 GB disk"
        assert one.splitlines() == listed

    async def test_its_power_reaches_the_server(self, tools, sandbox):
        """X7: `server_power` in all four ways; what is refused is said in words."""
        expected = {"stop": "stopping", "start": "starting", "restart": "rebooting", "hard_stop": "stopping"}
        said, statuses = {}, {}
        async with tools() as tool:
            uuid = uuids_in(await tool("list_servers"))[0]
            refused = await tool("server_power", server_uuid=uuid, action="start")
            for action in expected:
                said[action] = await tool("server_power", server_uuid=uuid, action=action)
                statuses[action] = sandbox.servers[0]["status"]
                sandbox.advance(60)
            shown = await tool("get_server", server_uuid=uuid)

        assert said == {action: f"Power action '{action}' sent to server {uuid}." for action in expected}
        assert statuses == expected
        assert "  Status: stopped" in shown.splitlines()
        assert refused == "Error (400): Server is already running."

    async def test_it_resizes_copies_and_deletes_a_server(self, tools, sandbox):
        """X7: `resize_server`, `create_backup`, `create_snapshot`, and `delete_server`, once."""
        async with tools() as tool:
            uuid = uuids_in(await tool("list_servers"))[0]
            plan = uuids_in(await tool("list_plans"))[2]
            resized = await tool("resize_server", server_uuid=uuid, new_plan_uuid=plan)
            backed_up = await tool("create_backup", server_uuid=uuid)
            copied = await tool("create_snapshot", server_uuid=uuid, label="before")
            larger = sandbox.servers[0]
            deleted = await tool("delete_server", server_uuid=uuid)
            again = await tool("delete_server", server_uuid=uuid)

        assert resized.startswith(f"Resize initiated for server {uuid}.\n\n  status: success\n")
        assert larger["plan"]["name"] == "Business VPS"
        assert backed_up.startswith(f"Backup initiated for server {uuid}.\n\n  status: success\n")
        assert copied.startswith(f"Snapshot initiated for server {uuid}.\n\n  status: success\n")
        assert (deleted, again) == (f"Server {uuid} has been deleted.", "Error (404): Not found.")
        assert [server["name"] for server in sandbox.servers] == ["db-server-01", "app-server-01"]

    async def test_it_creates_a_server_of_what_its_catalogues_list(self, tools, sandbox):
        """X7: `list_plans`, `list_locations`, `list_operating_systems`, and `create_server` of them."""
        async with tools() as tool:
            plans = await tool("list_plans")
            locations = await tool("list_locations")
            systems = await tool("list_operating_systems")
            version = re.search(r"Version: Debian 13 \(UUID: ([0-9a-f-]{36})\)", systems)[1]
            chosen = {"location_id": 4, "plan_uuid": uuids_in(plans)[1], "os_version_uuid": version}
            made = await tool("create_server", hostname="shop.example.com", ssh_key_ids=[version], **chosen)

        assert plans.split("\n\n")[1].splitlines() == [
            "Plan: 8 GB",
            f"  UUID: {chosen['plan_uuid']}",
            "  CPU: 4 vCPUs (shared)",
            "  RAM: 8 GB",
            "  Disk: 160 GB",
            "  Transfer: 4096 GB",
            "  Price: $40.00/mo",
            "  Hourly: $0.0548/hr",
        ]
        assert locations.split("\n\n")[3].splitlines() == [
            "Location: EU West",
            "  ID: 4",
            "  Country: Netherlands (NL)",
            "  Active: True",
        ]
        assert made.splitlines()[:3] == ["Server creation initiated.", "", "Server: shop.example.com"]
        assert re.search(r"^  Password: \w{16}$", made, re.MULTILINE)
        server = sandbox.servers[-1]
        assert [server[name] for name in ("name", "status", "location")] == ["shop", "provisioning", "eu-west"]
        assert (server["plan"]["name"], server["os"]["name"]) == ("Performance VPS", "Debian 13")

    async def test_what_is_refused_is_said_in_words(self, tools, sandbox):
        """X7: wrong fields, a reached quota, used-up credits, a token that only reads."""
        sandbox.add_account("vps_small", quota=1, credits=1)
        async with tools("vps_small") as tool:
            wrong = await tool("create_server", hostname="a", location_id=99, plan_uuid="x", os_version_uuid="x")
            good = {
                "hostname": "shop",
                "location_id": 1,
                "plan_uuid": uuids_in(await tool("list_plans"))[0],
                "os_version_uuid": re.search(r"\(UUID: (.*)\)", await tool("list_operating_systems"))[1],
            }
            made = await tool("create_server", **good)
            full = await tool("create_server", **good)
            await tool("delete_server", server_uuid=uuids_in(made)[0])
            poor = await tool("create_server", **good)
            sandbox.add_account("vps_small", read_only=True)
            denied = await tool("create_server", **good)

        assert wrong.splitlines() == [
            "Error (400):",
            "  plan: Must be a valid UUID.",
            '  location: Invalid pk "99" - object does not exist.',
            "  os_version: Must be a valid UUID.",
        ]
        assert full == "Error (400): Server quota exceeded (1 of 1)."
        assert poor == "Error (402): Insufficient credits."
        assert denied == "Error (403): You do not have permission to perform this action."
