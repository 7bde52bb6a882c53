"""What runs use while their fleets are entered, and what they say when they are not."""

from __future__ import annotations

import pytest

from tests.durable.parts import place
from vpsorg_async import Client
from vpsorg_async.durable._working import Working


def test_what_is_not_entered_says_what_to_do():
    working = Working(Client("vps_test"))

    for use in (working.store, working.worker):
        with pytest.raises(RuntimeError, match="async with DurableFleets"):
            use()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [("asyncio", {})], ids=["asyncio"])
async def test_a_run_tells_the_api_s_time_while_its_fleets_are_entered_and_nothing_afterwards(tmp_path):
    async with place(tmp_path, servers=1, speed=1.0) as at_work:
        run = await at_work.fleets.start("web", [at_work.sandbox.servers[0]["id"]], if_needed=True)
        report = await run

        assert report.to_dict()["made_at"] is not None

    for use in (run.snapshot, run.cancel, run.forget):
        with pytest.raises(RuntimeError, match="async with DurableFleets"):
            await use()
    with pytest.raises(RuntimeError, match="async with DurableFleets"):
        await run
