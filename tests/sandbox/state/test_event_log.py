"""The file of events: accounts survive the end of their process."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading

import anyio
import httpx
import pytest

from tests.helpers import ROOT
from tests.processes import ran
from tests.sandbox.conftest import AUTHORIZED
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._api.endpoints import command
from vpsorg_async.sandbox._api.messages import ApiRequest
from vpsorg_async.sandbox._api.serializers import timestamp


SPEC = {"name": "a", "plan_id": 1, "os_id": 5, "location": "us-west"}
FOUND = {"name": "a", "hostname": None, "location": "us-west", "plan_id": 1, "os_id": 5, "backups_enabled": False}


def stop(sandbox):
    account, now = sandbox._backend.accounts[0], sandbox._clock.now()
    command("stop")(ApiRequest(access=None, account=account, now=now, url="", query={}, server_id="12345", body=b""))
    sandbox._backend.save()


async def create_and_wait(sandbox):
    async with sandbox.client() as client:
        server = await client.servers.create(**SPEC)
        return await server.wait_until(status="active")


async def get_server(sandbox):
    async with sandbox.client() as client:
        return await client.servers.get(12345)


def event(kind, data=None, **changes):
    return json.dumps({"account": 0, "at": 1.0, "kind": kind, "server_id": 12345, "data": data or {}} | changes)


CREATED = event("created", FOUND | {"seconds": 200.0, "ends_in": "active"})


class TestState:
    def test_what_happened_is_there_again(self, tmp_path):
        """Time continues from the last event."""
        first = Sandbox(servers=2, state=tmp_path / "state")
        first.advance(50)
        stop(first)

        second = Sandbox(servers=9, state=tmp_path / "state")

        assert second.servers == first.servers
        assert [server["status"] for server in second.servers] == ["stopping", "active"]
        assert second._clock.now() == 50
        second.advance(30)
        assert second.servers[0]["status"] == "stopped"

    def test_what_was_shown_is_not_taken_back(self, tmp_path):
        """A server that a client has seen active is active after a restart."""
        first = Sandbox(state=tmp_path / "state")
        shown = anyio.run(create_and_wait, first)

        second = Sandbox(state=tmp_path / "state")

        assert shown.status == "active"
        assert anyio.run(get_server, second).status == "active"
        assert second._clock.now() == first._clock.now()

    def test_each_account_has_its_own(self, tmp_path):
        """The order in which accounts are added identifies them; no token is written."""
        for _ in range(2):
            sandbox = Sandbox(servers=1, state=tmp_path / "state")
            sandbox.add_account("vps_other")

        assert len(sandbox.servers) == 1
        assert "vps_" not in (tmp_path / "state").read_text()

    def test_a_torn_last_line_is_cut_off(self, tmp_path):
        """It may be torn at any byte; the next event follows the last whole line."""
        path = tmp_path / "state"
        first = Sandbox(servers=1, state=path)
        whole = path.read_bytes()
        stop(first)
        line = path.read_bytes()[len(whole) :]

        for end in range(len(line)):
            path.write_bytes(whole + line[:end])
            again = Sandbox(state=path)
            assert [server["status"] for server in again.servers] == ["active"]
            stop(again)
            assert [json.loads(one)["kind"] for one in path.read_text().splitlines()] == ["found", "commanded"]

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "{",
            "[]",
            "{}",
            "\x00\xff",
            "[" * 100_000,
            '{"account": 0, "odd": 1}',
            event("renamed"),
            event("deleted"),
            event("commanded", {"command": "stop", "seconds": 10.0, "ends_in": "stopped"}),
            event("created", FOUND),
            event("created", FOUND | {"seconds": 200.0, "ends_in": "active"}, at="yesterday"),
            event("created", FOUND | {"seconds": 200.0, "ends_in": "active"}, at=float("nan")),
            event("created", FOUND | {"seconds": 200.0, "ends_in": "active"}, server_id="12345"),
            event("created", FOUND | {"seconds": 200.0, "ends_in": "active"}, account="0"),
        ],
        ids=lambda line: line[:60],
    )
    @pytest.mark.parametrize(
        "before", [[], [event("created", FOUND | {"seconds": 1, "ends_in": "active"}, server_id=1)]]
    )
    def test_a_line_that_is_no_event_is_named(self, tmp_path, before, line):
        """The file is refused and not changed, not even its torn last line."""
        path = tmp_path / "state"
        path.write_text("\n".join([*before, line, '{"account"']))
        content = path.read_bytes()

        with pytest.raises(ValueError) as caught:
            Sandbox(state=path)

        assert (
            str(caught.value) == f"{path}, line {len(before) + 1}: not an event of a sandbox; the file was not changed"
        )
        assert path.read_bytes() == content

    @pytest.mark.parametrize("text", ["do not lose this", '{"name": "x"}', f"{CREATED}\nand this"])
    def test_a_file_of_something_else_is_not_taken_for_a_torn_line(self, tmp_path, text):
        """This holds even if it does not end in a line feed."""
        path = tmp_path / "notes.txt"
        path.write_text(text)

        with pytest.raises(ValueError, match=f"line {text.count(chr(10)) + 1}: not an event of a sandbox"):
            Sandbox(state=path)

        assert path.read_text() == text

    def test_the_sandbox_opened_last_has_the_file(self, tmp_path):
        """This holds within one process; the sandbox before it refuses to write."""
        path = tmp_path / "state"
        first = Sandbox(servers=1, state=path)
        second = Sandbox(state=path)

        with pytest.raises(RuntimeError) as caught:
            stop(first)

        assert str(caught.value) == (
            f"{path}: another sandbox in this process has opened this file since; "
            "use that one, or give each sandbox its own file"
        )
        stop(second)
        assert [server["status"] for server in Sandbox(state=path).servers] == ["stopping"]

    def test_a_full_disk_leaves_whole_lines(self, tmp_path):
        """Events that do not fit raise an error, and are written when there is room."""
        path = tmp_path / "state"

        result = ran("-c", FULL_DISK, str(path))

        assert result.stdout == "['found']\n"
        assert [json.loads(line)["kind"] for line in path.read_text().splitlines()] == ["found", "commanded"]


FULL_DISK = """
import json, os, pathlib, resource, sys
from tests.sandbox.state.test_event_log import stop
from vpsorg_async.sandbox import Sandbox

path = pathlib.Path(sys.argv[1])
sandbox = Sandbox(servers=1, state=path)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
try:
    stop(sandbox)
except OSError:
    print([json.loads(line)["kind"] for line in path.read_text().splitlines()])
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
sandbox._backend.save()
"""


@contextlib.contextmanager
def served(state, *options):
    """Serve the file *state* in another process; give the process and an httpx client of it."""
    command = [sys.executable, "-m", "vpsorg_async.sandbox", "--port", "0", "--state", str(state), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            base_url = process.stdout.readline().strip()
            assert base_url, process.stderr.read()
            with httpx.Client(base_url=base_url, headers=AUTHORIZED) as client:
                yield process, client
        finally:
            process.kill()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)


def write(base_url, expected, answered):
    """Create, rename and delete until the connection ends.

    *expected* is what may be the name of each server, `None` for one that is gone: of a request on its way, two.
    """
    with contextlib.suppress(httpx.TransportError), httpx.Client(base_url=base_url, headers=AUTHORIZED) as client:
        for nth in range(10_000):
            server_id = client.post("/servers/", json=SPEC).json()["id"]
            expected[server_id] = {"a"}
            answered.release()
            for name in [f"b-{nth}", *([None] if nth % 2 else [])]:
                path, before = f"/servers/{server_id}/", expected[server_id]
                expected[server_id] = before | {name}
                response = client.patch(path, json={"name": name}) if name else client.delete(path)
                assert response.is_success
                expected[server_id] = {name}
                answered.release()


class TestKilled:
    def test_what_was_answered_is_there_again(self, tmp_path):
        """Clients write until the kill. Only their last requests may be lost, and no id is used twice."""
        expected, answered = {}, threading.Semaphore(0)
        with served(tmp_path / "state") as (process, client):
            writers = [threading.Thread(target=write, args=(client.base_url, expected, answered)) for _ in range(4)]
            for writer in writers:
                writer.start()
            for _ in range(100):
                assert answered.acquire(timeout=60)
            kill(process)
            for writer in writers:
                writer.join()

        with served(tmp_path / "state") as (_, client):
            found = {server_id: client.get(f"/servers/{server_id}/").json().get("name") for server_id in expected}
            count = client.get("/servers/").json()["count"]
            made = client.post("/servers/", json=SPEC).json()["id"]

        assert {server_id: name for server_id, name in found.items() if name not in expected[server_id]} == {}
        there = sum(name is not None for name in found.values())
        assert there <= count <= there + len(writers)
        assert made > max(expected)

    def test_time_goes_on_from_the_last_event(self, tmp_path):
        """A command that was running ends at the time at which it would have ended."""
        with served(tmp_path / "state", "--speed=100", "--servers=1") as (process, client):
            assert client.post("/servers/12345/stop/").json()["server"]["status"] == "stopping"
            kill(process)
        commanded = json.loads((tmp_path / "state").read_text().splitlines()[-1])

        # On a busy machine a hundred times as fast is too fast to see it: not a third of a second.
        with served(tmp_path / "state", "--speed=1") as (process, client):
            first = client.get("/servers/12345/").json()
            kill(process)
        with served(tmp_path / "state", "--speed=100") as (_, client):
            while (seen := client.get("/servers/12345/").json())["status"] == "stopping":
                pass

        assert [first["status"], seen["status"]] == ["stopping", "stopped"]
        assert seen["updated_at"] == timestamp(commanded["at"] + commanded["data"]["seconds"])

    def test_neither_credits_nor_the_newest_id_come_back(self, tmp_path):
        """Neither a delete nor a restart returns them."""
        with served(tmp_path / "state", "--credits=2") as (process, client):
            ids = [client.post("/servers/", json=SPEC).json()["id"] for _ in range(2)]
            assert client.delete(f"/servers/{ids[-1]}/").status_code == 204
            kill(process)

        with served(tmp_path / "state", "--credits=2") as (process, client):
            refused = client.post("/servers/", json=SPEC)
            kill(process)
        with served(tmp_path / "state", "--credits=3") as (_, client):
            made = client.post("/servers/", json=SPEC).json()["id"]

        assert (refused.status_code, made) == (402, ids[-1] + 1)

    def test_a_line_torn_by_it_is_no_obstacle(self, tmp_path):
        """Earlier events are kept, and the next ones are whole lines."""
        with served(tmp_path / "state", "--servers=1") as (process, client):
            client.patch("/servers/12345/", json={"name": "b"})
            kill(process)
        content = (tmp_path / "state").read_bytes()
        (tmp_path / "state").write_bytes(content + content.splitlines()[-1][:-9])

        names = []
        for name in ("c", "d"):
            with served(tmp_path / "state") as (process, client):
                names.append(client.get("/servers/12345/").json()["name"])
                client.patch("/servers/12345/", json={"name": name})
                kill(process)

        assert names == ["b", "c"]
        assert (tmp_path / "state").read_bytes().startswith(content)

    def test_a_second_process_is_refused(self, tmp_path):
        """The error is one line, the file is unchanged, and a kill of the first process frees it."""
        command = [sys.executable, "-m", "vpsorg_async.sandbox", "--port", "0", "--state", str(tmp_path / "state")]
        with served(tmp_path / "state", "--servers=1") as (process, _):
            content = (tmp_path / "state").read_bytes()
            second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            kill(process)

        assert (second.returncode, second.stdout) == (1, "")
        remark = "another process has opened this state file; end it, or use another file"
        assert second.stderr == f"sandbox: {tmp_path / 'state'}: {remark}\n"
        assert (tmp_path / "state").read_bytes() == content
        with served(tmp_path / "state") as (_, client):
            assert client.get("/servers/").json()["count"] == 1

    def test_several_accounts_go_on_each_by_itself(self, tmp_path):
        """Both are in one file; the second sandbox reads them from there."""
        for nth in (1, 2):
            sandbox = Sandbox(state=tmp_path / "state")
            sandbox.add_account("vps_other", credits=2)
            with sandbox.serve() as base_url:
                for token in ("vps_sandbox", "vps_other"):
                    headers = {"Authorization": f"Bearer {token}"}
                    assert httpx.post(f"{base_url}/servers/", json=SPEC, headers=headers).status_code == 201
                    assert httpx.get(f"{base_url}/servers/", headers=headers).json()["count"] == nth

        assert [server["id"] for server in sandbox.servers] == [12345, 12346, 1012345, 1012346]
