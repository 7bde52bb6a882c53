"""A service is stopped in the middle of its work, and the next start ends the work."""

from __future__ import annotations

import itertools
import json
import signal
import threading

import pytest

from tests.processes import started
from tests.recipes.running import RECIPES, reboots
from tests.test_exit import said
from tests.test_interrupt import Watched
from vpsorg_async import FleetReport
from vpsorg_async.sandbox import Sandbox


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_the_next_start_sends_no_reboot_twice(tmp_path, number):
    kept = tmp_path / "reboots.json"
    sandbox = Sandbox(servers=5)
    ids = [server["id"] for server in sandbox.servers]
    sandbox.app = watched = Watched(sandbox, lambda scope: False)

    # Its time nearly stands: no reboot ends before the signal.
    with sandbox.serve(speed=0.001) as base_url, service(base_url, kept) as process:
        watched.until(lambda: all(map(watched.polled_after_its_reboot, ids[:2])))
        process.send_signal(number)
        output, errors = process.communicate(timeout=120)

    assert (process.returncode, said(errors)) == (0, "")
    assert output.splitlines()[-1] == "ended"
    report = FleetReport.from_dict(json.loads(kept.read_text()))
    assert [len(report.pending), len(report.skipped)] == [2, 3]

    with sandbox.serve(speed=20) as base_url, service(base_url, kept) as process:
        # It watches on when its work is done.
        too_long = threading.Timer(60, process.kill)
        too_long.start()
        lines = list(
            itertools.takewhile(lambda line: not line.startswith("reboot of"), iter(process.stdout.readline, ""))
        )
        too_long.cancel()
        process.send_signal(number)
        rest, _ = process.communicate(timeout=120)

    report = FleetReport.from_dict(json.loads(kept.read_text()))
    assert [len(report), len(report.succeeded)] == [5, 5]
    assert "changed" in "".join(lines)
    assert (process.returncode, rest) == (0, "ended\n")
    assert sorted(reboots(sandbox)) == sorted(map(str, ids))


def test_an_error_ends_it_with_an_error(tmp_path):
    with Sandbox(token="vps_other").serve() as base_url, service(base_url, tmp_path / "reboots.json") as process:
        _, errors = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "AuthenticationError" in errors


def service(base_url, kept):
    return started("-W", "error", "-X", "dev", str(RECIPES / "service.py"), str(kept), base_url=base_url, cwd=RECIPES)
