"""What became of the commands of an earlier run; `tests/fleet/test_resume.py` shows the rest through fleets."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.helpers_fleet import specs
from vpsorg_async import OutcomeUnknownError, Server
from vpsorg_async._action_parts import Memory
from vpsorg_async._earlier_commands import _is_of_its_time, _is_unmoved
from vpsorg_async._polling.lifecycle import Observation
from vpsorg_async.sandbox import Sandbox


NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def seen(status: str | None, updated: float = 0, date: float | None = 0) -> Observation:
    at = NOON + dt.timedelta(seconds=updated)
    server = None if status is None else Server(id=7, name="a", status=status, updated_at=at)
    told = None if date is None else NOON + dt.timedelta(seconds=date)
    return Observation(began=0, ended=0, server=server, date=told)


@pytest.mark.parametrize(
    ("observation", "of_its_time"),
    [
        (seen("rebooting", date=900), True),
        (seen("rebooting", date=901), False),
        (seen("rebooting", date=None), False),
        (seen("active", updated=900, date=99_999), True),
        (seen("active", updated=901), False),
        (seen(None), False),
    ],
)
def test_what_happens_much_later_proves_no_reboot(observation, of_its_time):
    assert _is_of_its_time(observation, NOON) is of_its_time


@pytest.mark.parametrize(
    ("observation", "baseline", "unmoved"),
    [
        (seen("active"), NOON, True),
        (seen("active", updated=1), NOON, False),
        (seen("rebooting"), NOON, False),
        (seen("active"), None, False),
        (seen(None), NOON, False),
    ],
)
def test_a_server_as_it_was_before(observation, baseline, unmoved):
    assert _is_unmoved(Memory(baseline=baseline), observation) is unmoved


@pytest.mark.anyio
async def test_a_create_is_not_looked_for_without_the_time_at_which_it_was_sent():
    sandbox = Sandbox()
    async with sandbox.client() as client:
        made = await client.servers.create(specs(1)[0])
        client._context.command_log._created.clear()
        earlier, options = client._context.commands.earlier, client.servers._options
        with pytest.raises(OutcomeUnknownError, match="when it was sent is not known") as caught:
            await earlier.find_created(specs(1)[0], None, earlier.read_listing, options, lambda server: server)

    assert [server.id for server in caught.value.candidates] == [made.id]
