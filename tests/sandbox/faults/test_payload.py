"""How faults change the execution of requests and the content of responses, in-process and on a socket."""

from __future__ import annotations

import zlib

import httpx
import pytest

from vpsorg_async.sandbox.faults import Fault
from vpsorg_async.sandbox.faults._injector import stage_of
from vpsorg_async.sandbox.faults._payload import MEGABYTE, compressed


pytestmark = pytest.mark.anyio

SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


@pytest.fixture
def sandbox(moving_sandbox):
    return moving_sandbox


@pytest.fixture
def api(moving_api):
    return moving_api


async def create(api, name="web-02"):
    return await api.post("/servers/", json=SPEC | {"name": name})


def names(sandbox):
    return [server["name"] for server in sandbox.servers]


class TestStatus:
    async def test_it_is_answered_and_nothing_is_done(self, sandbox, api):
        headers = {"Retry-After": 30, "Date": "Thu, 01 Jan 1970 00:00:00 GMT"}
        with sandbox.faults.inject(Fault.status(429, {"detail": "Slow."}, headers)):
            answer = await create(api)

        assert (answer.status_code, answer.json()) == (429, {"detail": "Slow."})
        assert answer.headers["Retry-After"] == "30"
        assert answer.headers.get_list("Date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]
        assert answer.headers["Content-Type"] == "application/json"
        assert len(names(sandbox)) == 2
        assert sandbox.calls[0].status == 429

    @pytest.mark.parametrize("code", [204, 304])
    async def test_one_without_a_body_has_none(self, sandbox, api, code):
        with sandbox.faults.inject(Fault.status(code, headers={"X-A": "b"})):
            answer = await api.get("/servers/")

        assert (answer.status_code, answer.content, answer.headers["X-A"]) == (code, b"", "b")
        assert "Content-Type" not in answer.headers

    async def test_it_stands_before_tokens_and_paths(self, sandbox, api):
        with sandbox.faults.inject(Fault.status(502, "down", path="^/nowhere/$")):
            answer = await api.get("/nowhere/", headers={"Authorization": ""})

        assert (answer.status_code, answer.text) == (502, "down")


async def turn_on(sandbox, api):
    """Create a server, stop one, delete one, and return their ids."""
    sandbox.freeze()
    first, second = (server["id"] for server in sandbox.servers)
    sandbox.advance(100)
    made = (await create(api)).json()["id"]
    sandbox.advance(400)
    await api.post(f"/servers/{first}/stop/")
    sandbox.advance(100)
    await api.delete(f"/servers/{second}/")
    return first, second, made


def stale(sandbox, ago, **rule):
    return sandbox.faults.inject(Fault.stale(ago, **rule))


class TestStale:
    @pytest.mark.parametrize(
        ("ago", "seen"),
        [
            (0, ["stopped", None, "active"]),
            (50, ["stopped", "active", "active"]),
            (99, ["stopping", "active", "active"]),
            (101, ["active", "active", "active"]),
            (499, ["active", "active", "provisioning"]),
            (501, ["active", "active", None]),
            (10**7, [None, None, None]),
        ],
    )
    async def test_reads_show_the_past(self, sandbox, api, ago, seen):
        """Lists and details agree; a server that did not exist is 404 and not listed."""
        ids = await turn_on(sandbox, api)
        listed = {server_id: status for server_id, status in zip(ids, seen, strict=True) if status}

        with stale(sandbox, ago):
            page = (await api.get("/servers/")).json()
            details = [await api.get(f"/servers/{server_id}/") for server_id in ids]

        assert {item["id"]: item["status"] for item in page["results"]} == listed
        assert page["count"] == len(listed)
        assert [answer.json().get("status") for answer in details] == seen
        assert [answer.status_code for answer in details] == [200 if status else 404 for status in seen]

    async def test_the_past_is_as_it_was_then(self, sandbox, api):
        """Each response is equal to the original one, except its date; reads in between change nothing."""
        sandbox.freeze()
        paths = ("/servers/", "/servers/12345/", "/servers/12347/")
        changes = [
            ("POST", "/servers/", SPEC),
            ("POST", "/servers/12345/reboot/", None),
            ("PATCH", "/servers/12345/", {"name": "renamed"}),
            ("POST", "/servers/12346/stop/", None),
            ("DELETE", "/servers/12345/", None),
            ("GET", "/servers/", None),
        ]
        seen = []
        for method, path, body in changes:
            sandbox.advance(20)
            assert (await api.request(method, path, json=body)).is_success
            sandbox.advance(25)
            seen.append([(await api.get(path)).json() for path in paths])

        again = []
        for age in reversed(range(len(changes))):
            with stale(sandbox, 45 * age):
                again.append([(await api.get(path)).json() for path in paths])
        assert again == seen

    async def test_nothing_has_happened_because_of_it(self, sandbox, api):
        ids = await turn_on(sandbox, api)
        with stale(sandbox, 501):
            await api.get("/servers/")
            command = await api.post(f"/servers/{ids[2]}/stop/")

        assert command.status_code == 200
        assert {server["id"]: server["status"] for server in sandbox.servers} == {
            ids[0]: "stopped",
            ids[2]: "stopping",
        }

    async def test_one_server_alone_may_be_stale(self, sandbox, api):
        """The server may be named by UUID; two faults with different ages can be combined."""
        ids = await turn_on(sandbox, api)
        by_uuid = next(iter(sandbox._backend.accounts[0].servers(0))).uuid

        with stale(sandbox, 101, server_id=by_uuid), stale(sandbox, 50, server_id=str(ids[1])):
            page = (await api.get("/servers/")).json()["results"]
            details = [(await api.get(f"/servers/{key}/")).json()["status"] for key in (*ids, by_uuid)]

        assert [item["status"] for item in page] == ["active", "active", "active"]
        assert details == ["active", "active", "active", "active"]
        assert (await api.get(f"/servers/{ids[0]}/")).json()["status"] == "stopped"

    async def test_the_answer_s_date_is_not_stale(self, sandbox, api):
        sandbox.freeze()
        sandbox.advance(600)
        with stale(sandbox, 600):
            answer = await api.get("/servers/")

        assert answer.headers["Date"].startswith("Thu, 16 Jan 2025 15:4")


async def every_item(api, **query):
    return (await api.get("/servers/", params=query)).json()


class TestPages:
    async def test_omitted_items_are_missing_and_counted(self, api, sandbox):
        """The seed chooses the items; a count above the number of items leaves none."""
        for number in range(8):
            await create(api, f"web-{number}")
        with sandbox.faults.inject(Fault.omit(3)):
            pages = [await every_item(api) for _ in range(8)]
        with sandbox.faults.inject(Fault.omit(30)):
            none = await every_item(api)

        assert {(page["count"], len(page["results"])) for page in pages} == {(10, 7)}
        assert len({tuple(item["id"] for item in page["results"]) for page in pages}) > 1
        assert none == {"count": 10, "results": []}

    async def test_one_server_may_be_missing(self, api, sandbox):
        with sandbox.faults.inject(Fault.omit(1, server_id=12346)):
            page = await every_item(api)

        assert [item["id"] for item in page["results"]] == [12345]

    @pytest.mark.parametrize("query", [{}, {"page_size": "1"}, {"page_size": "1", "status": "active"}])
    async def test_a_looping_next_comes_back(self, api, sandbox, query):
        seen = []
        with sandbox.faults.inject(Fault.loop()):
            page = await every_item(api, **query)
            for _ in range(6):
                seen += [item["id"] for item in page["results"]]
                page = (await api.get(page["next"])).json()

        assert seen[:4] == [12345, 12346, 12345, 12346]
        assert len(seen) >= 6

    async def test_an_error_is_no_page(self, api, sandbox):
        with sandbox.faults.inject(Fault.loop(), Fault.omit(1), Fault.as_status("x")):
            answer = await api.get("/servers/", params={"page": "7"})

        assert (answer.status_code, answer.json()) == (404, {"detail": "Invalid page."})


class TestAsStatus:
    @pytest.mark.parametrize("text", ["migrating", "", "active"])
    async def test_servers_are_read_with_that_status(self, api, sandbox, text):
        with sandbox.faults.inject(Fault.as_status(text)):
            page, one = await every_item(api), (await api.get("/servers/12345/")).json()

        assert [item["status"] for item in (*page["results"], one)] == [text] * 3

    async def test_one_alone_may_be(self, api, sandbox):
        """The inner fault takes effect for a server that has two; a filter uses the real status."""
        with sandbox.faults.inject(Fault.as_status("a")), sandbox.faults.inject(Fault.as_status("b", server_id=12346)):
            page = await every_item(api, status="active")
            one = (await api.get("/servers/12346/")).json()

        assert [item["status"] for item in (*page["results"], one)] == ["a", "b", "b"]

    async def test_what_a_command_answers_is_no_reading(self, api, sandbox):
        with sandbox.faults.inject(Fault.as_status("migrating")):
            stopped = (await api.post("/servers/12345/stop/")).json()
            made = (await create(api)).json()

        assert (stopped["server"]["status"], made["status"]) == ("stopping", "provisioning")


class TestHtml:
    async def test_a_page_comes_where_json_belongs(self, api, sandbox):
        """The request is executed, and the status is unchanged."""
        with sandbox.faults.inject(Fault.html()):
            answers = [await create(api), await api.get("/servers/"), await api.get("/servers/7/")]
            answers.append(await api.delete("/servers/12346/"))
        with sandbox.faults.inject(Fault.html(), Fault.status(502)):
            answers.append(await api.get("/servers/"))

        assert [answer.status_code for answer in answers] == [201, 200, 404, 200, 502]
        assert {answer.headers["Content-Type"] for answer in answers} == {"text/html; charset=utf-8"}
        assert all(answer.text.startswith("<!DOCTYPE html>") for answer in answers)
        assert names(sandbox) == ["web-server-01", "web-02"]


class TestBomb:
    async def test_few_bytes_are_many(self, api, sandbox):
        """The whole body is the correct response."""
        with sandbox.faults.inject(Fault.bomb(3)):
            answer = await api.get("/servers/")
            gone = await api.delete("/servers/12346/")

        assert len(answer.content) == 3 * MEGABYTE + 660
        assert int(answer.headers["Content-Length"]) == answer.num_bytes_downloaded < 20_000
        assert answer.json()["count"] == 2
        assert (gone.status_code, gone.content) == (200, b" " * 3 * MEGABYTE)

    async def test_it_goes_with_a_status(self, api, sandbox):
        with sandbox.faults.inject(Fault.bomb(1), Fault.status(503, "x", {"Content-Encoding": "identity"})):
            answer = await api.get("/servers/")

        assert (answer.status_code, len(answer.content)) == (503, MEGABYTE + 1)
        assert answer.headers["Content-Encoding"] == "gzip"

    def test_what_is_compressed_unpacks_in_one_piece(self):
        unpacker = zlib.decompressobj(31)

        assert unpacker.decompress(compressed(b"{}", 2)) == b"{}" + b" " * 2 * MEGABYTE
        assert (unpacker.eof, unpacker.unused_data) == (True, b"")


class TestEndIn:
    @pytest.mark.parametrize("status", ["stopped", "suspended", "provisioning"])
    async def test_a_create_ends_there(self, api, sandbox, status):
        sandbox.freeze()
        with sandbox.faults.inject(Fault.end_in(status)):
            made = (await create(api)).json()
        sandbox.advance(600)

        assert made["status"] == "provisioning"
        assert (await api.get(f"/servers/{made['id']}/")).json()["status"] == status

    @pytest.mark.parametrize("command", ["stop", "reboot", "power"])
    async def test_a_command_ends_there(self, api, sandbox, command):
        """The next command, without the fault, ends in the documented status."""
        sandbox.freeze()
        fault = Fault.end_in("suspended", server_id=12345, times=1)
        with sandbox.faults.inject(fault):
            for server_id in (12345, 12346):
                path = f"/servers/{server_id}/{command}/"
                assert (await api.post(path, json={"action": "stop"})).status_code == 200
        sandbox.advance(600)

        ends = [server["status"] for server in sandbox.servers]
        assert ends == ["suspended", "active" if command == "reboot" else "stopped"]

    async def test_a_start_ends_there(self, api, sandbox):
        sandbox.freeze()
        await api.post("/servers/12345/stop/")
        sandbox.advance(600)
        with sandbox.faults.inject(Fault.end_in("stopped")):
            started = (await api.post("/servers/12345/start/")).json()
        sandbox.advance(600)

        assert (started["server"]["status"], sandbox.servers[0]["status"]) == ("starting", "stopped")


class TestRule:
    async def test_it_tells_requests_apart(self, api, sandbox):
        sandbox.faults.add(
            Fault.status(500, method="POST", path="/(stop|start)/$"),
            Fault.status(501, server_id=12346),
            Fault.status(502, method="GET", path="^/servers/$", every=2, times=1),
        )

        asked = ["/servers/", "/servers/12345/", "/servers/12346/", "/servers/", "/servers/", "/servers/"]
        reads = [(await api.get(path)).status_code for path in asked]
        stop = (await api.post("/servers/12345/stop/")).status_code
        sandbox.faults.clear()

        assert (reads, stop) == ([200, 200, 501, 502, 200, 200], 500)
        assert (await api.get("/servers/12346/")).status_code == 200
        assert [(stage_of(one.fault), one.call.path) for one in sandbox.faults.log] == [
            ("status", "/servers/12346/"),
            ("status", "/servers/"),
            ("status", "/servers/12345/stop/"),
        ]

    async def test_the_log_has_the_sandbox_s_time_and_calls(self, api, sandbox):
        """A fault that is overridden is not in the log."""
        sandbox.freeze()
        sandbox.advance(40)
        fault = Fault.drop(method="GET")
        injected = sandbox.faults.inject(Fault.cut(1), fault, Fault.delay(0))
        with injected, pytest.raises(httpx.RemoteProtocolError):
            await api.get("/servers/")

        assert [stage_of(injection.fault) for injection in sandbox.faults.log] == ["delay", "drop"]
        assert {injection.at for injection in sandbox.faults.log} == {sandbox.calls[0].at}
        assert sandbox.calls[0].at >= 40
        assert sandbox.faults.log[1].fault is fault
        assert sandbox.faults.log[1].call is sandbox.calls[0]

    async def test_no_token_is_in_it(self, api, sandbox):
        with sandbox.faults.inject(Fault.status(500)):
            await create(api)

        assert "vps_sandbox" not in repr(sandbox.faults.log)
