"""Leaves a run while its commands wait for their turn: what was never sent is sent at the next start."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.processes import ran
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


PROGRAM = """
import asyncio, collections, sys
from vpsorg_async import Client, ServerSpec
from vpsorg_async.durable import DurableFleets

async def main(store, action, leaves):
    paused = asyncio.Event()
    def hear(event):
        if event.name == "call.paused":
            paused.set()
    async with Client(on_event=hear) as client, DurableFleets(client, store=store, worker="m1", settle=1) as fleets:
        if action == "create":
            specs = [ServerSpec(name=f"web-{number}", plan_id=1, os_id=5, location="us-west") for number in range(5)]
            run = await fleets.create("run", specs)
        else:
            run = await fleets.reboot("run", range(12345, 12350))
        if leaves == "leaves":
            await paused.wait()
            return
        print(dict(collections.Counter(outcome.state for outcome in (await run).outcomes)))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.heavy
@pytest.mark.parametrize("action", ["create", "reboot"])
def test_what_was_refused_for_the_moment_or_not_sent_yet_is_not_in_doubt(action, tmp_path):
    """D1: one 429 holds up all commands of a run; the program leaves it, and ends."""
    sandbox = Sandbox(servers=0 if action == "create" else 5)

    with sandbox.serve(speed=100) as base_url:
        where = {"VPS_API_TOKEN": "vps_sandbox", "VPS_API_URL": base_url}
        given = ("-c", PROGRAM, f"sqlite:///{tmp_path / 'fleet.sqlite'}", action)
        with sandbox.faults.inject(Fault.status(429, headers={"Retry-After": "600"}, method="POST")):
            left = ran(*given, "leaves", **where)
        done = ran(*given, "stays", **where)

    assert (left.returncode, left.stdout, left.stderr) == (0, "", "")
    assert (done.returncode, done.stdout) == (0, "{'succeeded': 5}\n"), done.stderr
    carried_out = Counter(call.path for call in sandbox.calls if call.method == "POST" and call.status < 400)
    assert carried_out == (
        {"/servers/": 5} if action == "create" else {f"/servers/{key}/reboot/": 1 for key in range(12345, 12350)}
    )
