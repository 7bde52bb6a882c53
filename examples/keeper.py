"""Keep a pool of servers alive, also across `kill -9`: create the missing, and replace the suspended and the gone.

Every command is a durable run, so the next start goes on where the last process was killed. The list of the API may
lag: the store knows which servers were created. VPS_API_TOKEN must be set. Run it once, as a timer does, or for ever
with `--rounds 0`:

    python examples/keeper.py --servers 3 --store sqlite:///keeper.sqlite --rounds 0
"""

from __future__ import annotations

import argparse
import asyncio
import re

from datetime import UTC, datetime, timedelta

from vpsorg_async import Client, NotFoundError, Outcome, Server, ServerSpec
from vpsorg_async.durable import DurableFleets, DurableRun


def name_of(outcome: Outcome) -> str:
    """Return the name of a server that a run was to create: the items of such a run are specs."""
    assert isinstance(outcome.item, ServerSpec)
    return outcome.item.name


class Keeper:
    """Keeps *wanted* servers whose names begin with *pool*.

    *settle* is longer than the list of the API lags, in seconds.
    """

    def __init__(self, client: Client, fleets: DurableFleets, pool: str, wanted: int, settle: float) -> None:
        self.client = client
        self.fleets = fleets
        self.pool = pool
        self.wanted = wanted
        self.settle = timedelta(seconds=settle)

    async def keep(self) -> str:
        """Look after the pool once, and return what was done."""
        # An earlier process may have left some of the runs in the middle. They go on by themselves.
        runs = [run for run in await self.fleets.list() if self.number_of(run.name)]
        created = [outcome for run in runs if run.action == "create" for outcome in await run]
        servers = await self.servers(created)
        number = 1 + max(map(self.number_of, [*servers, *(run.name for run in runs)]), default=0)
        suspended = [server for server in servers.values() if server.status == "suspended"]
        missing = self.wanted - (len(servers) - len(suspended))
        if missing > 0:
            specs = [
                ServerSpec(name=f"{self.pool}-{number}-{place}", plan_id=1, os_id=5, location="us-west")
                for place in range(missing)
            ]
            await (await self.fleets.create(f"{self.pool}-{number}-create", specs))
        if suspended:
            await (await self.fleets.delete(f"{self.pool}-{number}-delete", suspended))
        await self.forget([run for run in runs if self.number_of(run.name) < number - 1], servers)
        return f"{len(servers)} there, {len(suspended)} of them suspended; created {max(missing, 0)}"

    async def servers(self, created: list[Outcome]) -> dict[str, Server]:
        """Return the pool's servers by name: those that the API lists, and those that it does not list yet."""
        listed = await self.client.servers.list()
        found = {server.name: server for server in listed if self.number_of(server.name)}
        for outcome in created:
            if name_of(outcome) not in found and (server := await self.look_for(outcome)) is not None:
                found[name_of(outcome)] = server
        return found

    async def look_for(self, outcome: Outcome) -> Server | None:
        """Return a server that was created and is not listed, or `None` if it is gone."""
        if outcome.server is None:
            return None
        try:
            server = await self.client.servers.get(outcome.server.id)
        except NotFoundError:
            is_new = outcome.ended_at is None or datetime.now(UTC) - outcome.ended_at < self.settle
            return outcome.server if is_new else None
        # A store that was used with another account may know another server of this id.
        return server if server.name == name_of(outcome) else None

    async def forget(self, runs: list[DurableRun], servers: dict[str, Server]) -> None:
        """Let runs leave the store whose servers are all gone."""
        for run in runs:
            if run.action == "delete" or not {name_of(outcome) for outcome in await run} & set(servers):
                await run.forget()

    def number_of(self, name: str) -> int:
        """Return the number in the name of a run or server of the pool, and 0 for any other name."""
        found = re.fullmatch(rf"{re.escape(self.pool)}-(\d+)-(\d+|create|delete)", name)
        return int(found[1]) if found else 0


async def main(options: argparse.Namespace) -> None:
    """Look after the pool, round after round."""
    done = 0
    async with (
        Client() as client,
        # "resend": a create that is in no list for so long was not executed, so it is safe to send it again.
        DurableFleets(
            client, store=options.store, worker=options.worker, settle=options.settle, on_ambiguous="resend"
        ) as fleets,
    ):
        keeper = Keeper(client, fleets, options.pool, options.servers, options.settle)
        while True:
            print(await keeper.keep(), flush=True)
            done += 1
            if done == options.rounds:
                return
            await asyncio.sleep(options.every)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Keep a pool of servers alive.")
    parser.add_argument("--servers", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--pool", default="kept", help="how their names begin (default: kept)")
    parser.add_argument("--store", default="sqlite:///keeper.sqlite", help="where the runs are kept")
    parser.add_argument("--worker", default="keeper", help="the name of this process (default: keeper)")
    parser.add_argument("--settle", type=float, default=60.0, help="seconds, longer than the list lags (default: 60)")
    parser.add_argument("--rounds", type=int, default=1, help="how many rounds; 0 is without end (default: 1)")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two rounds (default: 30)")
    return parser.parse_args()


asyncio.run(main(arguments()))
