"""The routes of the live page: what they show, to which hosts, and that they change nothing."""

from __future__ import annotations

import math

import httpx
import pytest

from tests.sandbox.ui.conftest import Reading
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._ui.routes import MOST_LINES, MOST_SERVERS, is_local_host, snapshot_of
from vpsorg_async.sandbox.faults import Fault
from vpsorg_async.sandbox.faults._injector import Counts


pytestmark = pytest.mark.anyio

SPEC = {"name": "web-server-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


@pytest.fixture
def fetch(api):
    """Return a function that requests a path of the origin without a token."""

    async def ask(path="/__sandbox__/", method="GET", **options):
        url = api.base_url.copy_with(path=path)
        return await httpx.AsyncClient.request(api, method, url, **{"headers": {"Authorization": ""}, **options})

    return ask


class TestWhatIsShown:
    async def test_servers_faults_and_requests(self, api, sandbox, fetch):
        """The page lists the newest first, of all accounts, with the current status."""
        sandbox.add_account("vps_other")
        sandbox.faults.add(Fault.status(503, path="/start/", times=2), Fault.hang(path="/never/"))
        await api.post("/servers/12345/stop/")
        sandbox.advance(60)
        await api.post("/servers/", json=SPEC, headers={"Authorization": "Bearer vps_other"})
        await api.post("/servers/12345/start/", params={"now": "1"})

        parsed = Reading((await fetch()).content)

        assert parsed.rows["servers"] == [
            ["1012345", "web-server-02", "provisioning", "us-west", "none yet", "2", "15:31:00"],
            ["12346", "db-server-01", "active", "us-east", "203.0.113.11", "1", "08:45:00"],
            ["12345", "web-server-01", "stopped", "us-west", "203.0.113.10", "1", parsed.rows["servers"][2][-1]],
        ]
        assert parsed.rows["faults"] == [
            ["hang(path='/never/')", "0", "0"],
            ["status(code=503, path='/start/', times=2)", "1", "1 of 2"],
        ]
        assert parsed.rows["strikes"] == [
            ["15:31:00", "status(code=503, path='/start/', times=2)", "POST /servers/12345/start/"]
        ]
        assert parsed.rows["requests"] == [
            ["15:31:00", "POST", "/servers/12345/start/?now=1", "503"],
            ["15:31:00", "POST", "/servers/", "201"],
            ["15:30:00", "POST", "/servers/12345/stop/", "200"],
        ]
        assert parsed.summary == {
            "Time (UTC)": "2025-01-16 15:31:00",
            "Speed": "frozen",
            "Servers": "3",
            "Faults on": "2",
            "Struck": "1",
            "Requests": "3",
        }

    async def test_a_time_of_another_day_is_that_day(self, sandbox, fetch):
        sandbox.advance(86_400)

        parsed = Reading((await fetch()).content)

        assert [row[-1] for row in parsed.rows["servers"]] == ["2025-01-16", "2025-01-15"]

    async def test_of_many_the_latest_are_shown_and_all_counted(self):
        """There are 10,000 servers, and more than the limit of each other kind."""
        sandbox = Sandbox(servers=10_000)
        sandbox.faults.add(*[Fault.delay(0)] * 60)
        transport = httpx.ASGITransport(sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for number in range(60):
                await client.get(f"/api/v1/{number}/")
            parsed = Reading((await client.get("/__sandbox__/")).content)

        assert {name: len(rows) for name, rows in parsed.rows.items()} == {
            "servers": MOST_SERVERS,
            "faults": MOST_LINES,
            "strikes": MOST_LINES,
            "requests": MOST_LINES,
        }
        assert parsed.captions == {
            "servers": "Servers: the latest 200 of 10,000",
            "faults": "Faults that are on: the latest 50 of 60",
            "strikes": "Faults applied: the latest 50 of 3,600",
            "requests": "Requests: the latest 50 of 60",
        }
        assert (parsed.rows["servers"][0][0], parsed.rows["requests"][0][2]) == ("22344", "/59/")

    async def test_the_speed_is_that_of_the_clock_that_runs(self):
        """The page shows the speed in-process, served and frozen."""
        sandbox = Sandbox()
        speeds = [snapshot_of(sandbox._backend).speed]
        with sandbox.serve(speed=60):
            speeds.append(snapshot_of(sandbox._backend).speed)
            sandbox.freeze()
            speeds.append(snapshot_of(sandbox._backend).speed)

        assert speeds == [math.inf, 60, 0]

    async def test_neither_token_nor_body_is_in_the_page(self, api, sandbox, fetch):
        """Requests had a token and a body, a fault had a body and headers."""
        sandbox.add_account("vps_other", read_only=True)
        sandbox.faults.add(Fault.status(503, body="an answer", headers={"X-Trace": "a header"}, method="PUT"))
        await api.put("/servers/12345/", json={"name": "in-the-body"})
        await api.get("/servers/", params={"token": "vps_sandbox"})

        content = (await fetch()).text

        for text in ("vps_", "Bearer", "uthorization", "in-the-body", "an answer", "a header"):
            assert text not in content


class TestReadOnly:
    async def test_it_leaves_no_trace(self, api, sandbox, fetch):
        """The requests are not recorded, faults neither apply to them nor count them, and no time passes."""
        sandbox.faults.add(Fault.drop(), Fault.status(503, path=".*"))
        before = sandbox._clock.now()

        for path in ("/__sandbox__/", "/__sandbox__/page.js", "/__sandbox__/nothing", "/openapi.json"):
            await fetch(path)
            await fetch(path, "POST")

        assert (sandbox.calls, sandbox.faults.log, sandbox._clock.now()) == ([], [], before)
        assert {counted for _, counted in sandbox.faults.active()} == {Counts()}

    async def test_it_moves_no_clock_that_jumps(self):
        sandbox = Sandbox(servers=1)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url="http://localhost") as client:
            await client.get("/__sandbox__/")

        assert sandbox._clock.now() == 0

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/__sandbox__/", "text/html; charset=utf-8"),
            ("/__sandbox__/page.css", "text/css; charset=utf-8"),
            ("/__sandbox__/page.js", "text/javascript; charset=utf-8"),
            ("/__sandbox__/icon.svg", "image/svg+xml"),
            ("/openapi.json", "application/json"),
        ],
    )
    async def test_it_can_be_asked_for_its_head(self, fetch, path, kind):
        """Its content type and length are those of the GET."""
        got, head = await fetch(path), await fetch(path, "HEAD")

        assert (got.status_code, got.headers["content-type"], head.status_code, head.content) == (200, kind, 200, b"")
        assert int(head.headers["content-length"]) == len(got.content) > 100

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    async def test_other_methods_are_refused(self, fetch, method):
        answer = await fetch(method=method)

        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")

    async def test_without_its_slash_it_leads_there(self, fetch):
        answer = await fetch("/__sandbox__")

        assert (answer.status_code, answer.headers["location"]) == (308, "/__sandbox__/")

    @pytest.mark.parametrize("path", ["/__sandbox__/nothing", "/__sandbox__/../page.py", "/__sandbox__//etc/passwd"])
    async def test_there_is_nothing_else(self, fetch, path):
        assert (await fetch(path)).status_code == 404

    @pytest.mark.parametrize(
        ("path", "method"), [("/__sandbox__/", "GET"), ("/__sandbox__/x", "GET"), ("/__sandbox__/", "POST")]
    )
    async def test_every_answer_keeps_a_browser_strict(self, fetch, path, method):
        """Refusals have the headers too."""
        headers = (await fetch(path, method)).headers

        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert {policy[kind] for kind in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
        assert {policy[kind] for kind in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"

    async def test_other_host_names_are_refused(self, fetch):
        """This protects the page against DNS rebinding. The OpenAPI document has no data and needs no protection."""
        host = {"Host": "evil.example:8800"}

        answers = [await fetch(path, headers=host) for path in ("/__sandbox__/", "/__sandbox__/page.js")]

        assert [(answer.status_code, "server" in answer.text) for answer in answers] == [(403, False)] * 2
        assert (await fetch("/openapi.json", headers=host)).status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST:8800", True),
        ("127.0.0.1:8800", True),
        ("192.0.2.7", True),
        ("[::1]:8800", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:80", False),
        ("127.0.0.1@evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_a_host_is_an_address_or_localhost(host, expected):
    assert is_local_host(host) is expected
