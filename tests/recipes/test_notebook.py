"""The notebook runs in a real kernel, and a cell is interrupted as Jupyter's stop button does it."""

from __future__ import annotations

import contextlib
import time

import nbformat
import pytest

from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from tests.recipes.running import RECIPES, reboots
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


NOTEBOOK = nbformat.read(RECIPES / "notebook.ipynb", as_version=4)
MAKE_CLIENT = next(cell.source for cell in NOTEBOOK.cells if "client = Client()" in cell.source)
LONG = 60


@pytest.fixture
def served(monkeypatch):
    """Return a function that serves a sandbox to the kernels that start."""
    with contextlib.ExitStack() as stack:

        def serve(sandbox, speed):
            monkeypatch.setenv("VPS_API_URL", stack.enter_context(sandbox.serve(speed=speed)))
            monkeypatch.setenv("VPS_API_TOKEN", "vps_sandbox")
            return sandbox

        yield serve


class Kernel:
    """Runs cells, one after another."""

    def __init__(self, manager, client):
        self._manager = manager
        self._client = client

    def run(self, source):
        """Return what the cell shows, and the name of the error that it raises."""
        shown = []
        reply = self._client.execute_interactive(source, timeout=LONG, output_hook=shown.append)
        return "".join(map(text_of, shown)), reply["content"].get("ename")

    def interrupt(self, source, when):
        """Interrupt a cell once *when* is true. Return as `run` does."""
        cell = self._client.execute(source)
        until(when)
        self._manager.interrupt_kernel()
        shown = []
        while True:
            message = self._client.get_iopub_msg(timeout=LONG)
            if message["parent_header"].get("msg_id") == cell:
                shown.append(message)
                if message["content"].get("execution_state") == "idle":
                    break
        return "".join(map(text_of, shown)), self._client.get_shell_msg(timeout=LONG)["content"].get("ename")


def text_of(message):
    content = message["content"]
    return content.get("data", {}).get("text/plain") or content.get("text") or ""


def until(true):
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def kernel():
    manager, client = start_new_kernel(startup_timeout=LONG)
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def asked(sandbox, method, path):
    return [call for call in sandbox.calls if (call.method, call.path) == (method, path)]


def test_every_cell_runs_and_no_reboot_is_sent_twice(served):
    sandbox = served(Sandbox(servers=3), speed=60)

    done = NotebookClient(nbformat.from_dict(NOTEBOOK), timeout=LONG, startup_timeout=LONG).execute()

    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(output.get("text") or output["data"]["text/plain"] for output in outputs)
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    assert "<FleetRun reboot of 2 servers: not begun; await it" in text
    assert text.count("reboot of 2 items: 2 succeeded") == 2
    assert "web-01 is active" in text
    assert sorted(reboots(sandbox)) == sorted(str(server["id"]) for server in sandbox.servers)


def test_a_wait_is_interrupted_and_goes_on_in_the_next_cell(served):
    """The command is not sent again."""
    # Its time nearly stands, so the reboot ends when the test says so.
    sandbox = served(Sandbox(servers=1), speed=0.001)
    path = f"/servers/{sandbox.servers[0]['id']}/"

    with kernel() as cells:
        cells.run(MAKE_CLIENT)
        cells.run("action = await (await client.servers.list())[0].reboot()")
        interrupted = cells.interrupt("server = await action.wait()", lambda: asked(sandbox, "GET", path))
        left = cells.run("print(client.stats().waits, client.stats().in_flight)")
        sandbox.advance(600)
        waited = cells.run("server = await action.wait()\nprint(server.status)")

    assert interrupted == ("", "CancelledError")
    assert left == ("0 0\n", None)
    assert waited == ("active\n", None)
    assert len(reboots(sandbox)) == 1


def test_a_create_that_is_interrupted_says_that_the_server_may_exist(served):
    sandbox = served(Sandbox(), speed=1)

    with kernel() as cells, sandbox.faults.inject(Fault.hang(method="POST")):
        cells.run(MAKE_CLIENT)
        create = 'await client.servers.create(name="web-09", plan_id=1, os_id=5, location="us-west")'
        shown, error = cells.interrupt(create, lambda: sandbox.servers)
        found = cells.run('print((await client.servers.get_by_name("web-09")).status)')

    assert error == "CancelledError"
    assert "web-09" in shown
    assert found == ("provisioning\n", None)


def test_a_list_or_a_run_that_is_not_awaited_says_what_to_do_and_sends_nothing(served):
    sandbox = served(Sandbox(servers=1), speed=1)

    with kernel() as cells:
        client = cells.run(MAKE_CLIENT)
        again = cells.run(f"kept = client\n{MAKE_CLIENT}\nclient is kept")
        unawaited = cells.run("client.servers.list()")
        run = cells.run("client.fleet([7]).reboot()")
        calls = len(sandbox.calls)
        closed = cells.run(f"await client.aclose()\n{MAKE_CLIENT}\nlen(await client.servers.list())")

    assert client[0].startswith("<Client http://127.0.0.1")
    assert again == ("True", None)
    assert unawaited == ("<ServerList: await it, or iterate it with 'async for'>", None)
    assert run == ("<FleetRun reboot of 1 server: not begun; await it, or enter it with 'async with'>", None)
    assert calls == 0
    assert closed == ("1", None)
