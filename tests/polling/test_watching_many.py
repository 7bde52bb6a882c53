"""Many watches of many servers: what a poll of theirs takes, how long others wait for it, and what it keeps."""

from __future__ import annotations

import gc
import pathlib
import sys

import anyio
import anyio.lowlevel
import pytest

import vpsorg_async

from tests.helpers import listed, page
from tests.sharing import Scripted, scripted_client_of
from vpsorg_async import PollPolicy, Server
from vpsorg_async._polling.list_delivery import AT_ONCE


pytestmark = pytest.mark.anyio
SERVERS, PAGE, INTERVAL = 1_000, 100, 5.0
PACKAGE = str(pathlib.Path(vpsorg_async.__file__).parent)
SANDBOX = str(pathlib.Path(PACKAGE) / "sandbox")


class Account:
    """A list of many servers, of which every so many change their status from one list to the next."""

    def __init__(self, changing=100, count=SERVERS):
        self.lists, self.changing, self.count = 0, changing, count
        self.transport = Scripted(self.answer)
        self.clock = self.transport.clock

    def answer(self, _method, path, _number):
        which = int(path.partition("?page=")[2] or 1)
        self.lists += which == 1
        last = which * PAGE >= self.count
        link = None if last else f"https://api.example/api/v1/servers/?page_size={PAGE}&page={which + 1}"
        keys = range((which - 1) * PAGE, min(which * PAGE, self.count))
        return 0.01, 200, page(*map(self.server, keys), next=link, count=self.count)

    def server(self, key):
        changed = self.lists % 2 and key % self.changing == 0
        return listed(key, status="stopped" if changed else "active")


async def read(client, told):
    async for change in client.servers.watch(interval=INTERVAL):
        told.append(change)


async def calls_of_polls(count):
    """Return how many functions of the client are called by three polls of so many watches, and the changes told."""
    account, told, calls = Account(), [], 0

    def note(frame, event, _argument):
        nonlocal calls
        name = frame.f_code.co_filename
        calls += event == "call" and name.startswith(PACKAGE) and not name.startswith(SANDBOX)

    async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(read, client, told)
        await account.clock.sleep(INTERVAL / 2)
        before, profile = len(told), sys.getprofile()
        sys.setprofile(note)
        try:
            await account.clock.sleep(3 * INTERVAL)
        finally:
            sys.setprofile(profile)
        group.cancel_scope.cancel()
    assert before == SERVERS * count
    return calls, told[before:]


async def test_a_hundred_watches_cost_at_most_twice_what_one_costs():
    """I5: by the functions that a poll calls, telling a hundred times as many changes among them."""
    one, told = await calls_of_polls(1)
    hundred, all_told = await calls_of_polls(100)

    assert (len(told), len(all_told)) == (3 * 10, 3 * 10 * 100)
    assert hundred <= 2 * one


@pytest.mark.parametrize("watches", [1, 100])
async def test_another_task_gets_its_turn_while_changes_are_told(watches):
    """I5: each of a hundred watches tells of a thousand servers, or one watch of as many."""
    account = Account(count=SERVERS if watches > 1 else 10 * SERVERS)
    told, most = [], 0

    async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:
        for _ in range(watches):
            group.start_soon(read, client, told)
        while len(told) < watches * account.count:
            before = len(told)
            await anyio.lowlevel.checkpoint()
            most = max(most, len(told) - before)
        group.cancel_scope.cancel()

    assert most <= 10 * AT_ONCE


async def test_another_task_gets_its_turn_while_waits_end():
    """I5: with the list that shows all their servers at the goal."""
    account, ended, most = Account(changing=1), [], 0
    account.lists = 1

    async def wait(key):
        poll = PollPolicy(minimum=INTERVAL, maximum=INTERVAL)
        await client.servers.wait_until(key, status="stopped", detail=False, poll=poll)
        ended.append(key)

    async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:
        for key in range(SERVERS):
            group.start_soon(wait, key)
        while len(ended) < SERVERS:
            before = len(ended)
            await anyio.lowlevel.checkpoint()
            most = max(most, len(ended) - before)

    assert most <= 2 * AT_ONCE


async def test_a_watch_that_nobody_reads_keeps_no_more_than_the_newest():
    """I5: of each server, whatever their number of changes."""
    account, told, kept = Account(changing=1), [], []
    # Those of other tests' modules.
    others = sum(type(one) is Server for one in gc.get_objects())

    async with scripted_client_of(account.transport) as client, anyio.create_task_group() as group:
        group.start_soon(read, client, told)
        unread = [client.servers.watch(interval=INTERVAL) for _ in range(5)]
        for one in unread:
            await anext(one)
        for _ in range(4):
            await account.clock.sleep(4 * INTERVAL)
            told.clear()
            gc.collect()
            kept.append(sum(type(one) is Server for one in gc.get_objects()) - others)
        sizes = {len(one._changes._known) for one in unread} | {one._changes.size for one in unread}
        group.cancel_scope.cancel()

    assert max(kept) <= kept[0] + 10
    # The newest, and what each has told last: the first server.
    assert max(kept) <= 2 * SERVERS + 10 * len(unread)
    assert sizes <= {SERVERS, SERVERS - 1}
