"""A real Ctrl-C in the middle of a fleet: the example's process ends at once, and tells what became of each server."""

from __future__ import annotations

import signal
import threading

import pytest

from tests.processes import started
from tests.test_exit import said
from vpsorg_async.sandbox import Sandbox


class Watched:
    """The sandbox's app, that a test can wait with; never answers what *holds* is true of, though it was asked."""

    def __init__(self, sandbox, holds):
        self.sandbox = sandbox
        self.held = 0
        self._app = sandbox.app
        self._holds = holds
        self._news = threading.Condition()

    async def __call__(self, scope, receive, send):
        if self._holds(scope):
            self.happened(held=1)
            while (await receive())["type"] != "http.disconnect":
                pass
        else:
            await self._app(scope, receive, send)
            self.happened()

    def happened(self, *, held=0):
        with self._news:
            self.held += held
            self._news.notify_all()

    def until(self, holds):
        with self._news:
            assert self._news.wait_for(holds, timeout=60)

    def polled_after_its_reboot(self, server_id):
        """Tell whether the process has read that its reboot was accepted: it waits, so it polls."""
        paths = [call.path for call in self.sandbox.calls]
        reboot = f"/servers/{server_id}/reboot/"
        return reboot in paths and not {"/servers/", f"/servers/{server_id}/"}.isdisjoint(paths[paths.index(reboot) :])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
class TestInterrupt:
    def test_the_report_is_printed_and_the_status_is_that_of_an_interrupt(self, backend):
        """F3: two have come back, one was accepted, one is on the wire, and two were never begun."""
        sandbox = Sandbox(servers=6)
        sandbox.freeze()
        ids, names = zip(*((server["id"], server["name"]) for server in sandbox.servers), strict=True)
        sandbox.app = watched = Watched(sandbox, lambda scope: scope["path"].endswith(f"/{ids[3]}/reboot/"))

        with sandbox.serve() as base_url, started(*PROGRAM, backend, base_url=base_url) as process:
            watched.until(lambda: all(map(watched.polled_after_its_reboot, ids[:2])))
            # Longer than a reboot takes.
            sandbox.advance(60)
            watched.until(lambda: watched.held and watched.polled_after_its_reboot(ids[2]))
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=120)

        assert output.splitlines() == [
            "reboot of 6 items: 2 succeeded, 0 failed, 1 pending, 1 unknown, 2 skipped",
            f"  server {ids[2]} ({names[2]}): pending: cancelled after the command was accepted",
            f"  server {ids[3]} ({names[3]}): unknown: cancelled with the command on the wire",
            "pending: the API accepted the command, and how it ended is not known. Wait; do not send it again.",
            "unknown: the API may have accepted the command. Look at the server before you send it again.",
        ]
        assert (said(errors), process.returncode) == ("", 130)

    def test_without_one_it_reports_and_ends_well(self, backend):
        # A reboot takes one to two seconds, so that a poll sees it: else the client would look for 15 s.
        with Sandbox(servers=3).serve(speed=20) as base_url, started(*PROGRAM, backend, base_url=base_url) as process:
            output, errors = process.communicate(timeout=120)

        assert output == "reboot of 3 items: 3 succeeded, 0 failed, 0 pending, 0 unknown, 0 skipped\n"
        assert (said(errors), process.returncode) == ("", 0)


# Where tests run in a shell's background SIGINT is ignored, by every process that they start as well.
EXAMPLE = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["examples/interruptible_fleet.py", *sys.argv[1:]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PROGRAM = ("-W", "error", "-X", "dev", "-c", EXAMPLE)
