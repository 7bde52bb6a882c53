"""Works on durable fleets as a job says, and prints what becomes of them: the process that the tests kill.

The arguments are the name of a story and the job, as JSON. Each line of the output is a JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from collections.abc import AsyncIterator
from typing import Any

from vpsorg_async import Client, ConfigurationError, InvalidArgumentError, Outcome, PollPolicy, RetryPolicy, ServerSpec
from vpsorg_async.durable import DurableFleets


POLL = PollPolicy(minimum=0.1, maximum=0.5, grace=1.0)


def tell(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def data_of(outcome: Outcome[Any]) -> dict[str, Any]:
    """Return what the tests look at."""
    error = outcome.error
    return {
        "index": outcome.index,
        "state": outcome.state,
        "accepted": outcome.accepted,
        "item": outcome.item.name if isinstance(outcome.item, ServerSpec) else outcome.item,
        "server": None if outcome.server is None else outcome.server.id,
        "error": None if error is None else f"{type(error).__name__}: {error}",
    }


def report_data(report: Any) -> list[dict[str, Any]]:
    return [data_of(outcome) for outcome in report]


def items_of(job: dict[str, Any], plan_id: int = 1) -> list[Any]:
    """Return the ids, or specs of the names, with the plan."""
    if job["action"] != "create":
        return list(job["items"])
    return [ServerSpec(name=name, plan_id=plan_id, os_id=5, location="us-west") for name in job["items"]]


@contextlib.asynccontextmanager
async def opened(job: dict[str, Any]) -> AsyncIterator[DurableFleets]:
    """Open the fleets of a job."""
    retry = RetryPolicy(initial=0.1, maximum=0.3)
    async with (
        Client(job["token"], base_url=job["base_url"], timeout=6.0, attempt_timeout=2.0, retry=retry) as client,
        DurableFleets(client, store=job["store"], worker=job["worker"], **job.get("fleets", {})) as fleets,
    ):
        tell(open=True)
        yield fleets


async def submit(fleets: DurableFleets, job: dict[str, Any], **changes: Any) -> Any:
    """Submit the run of a job."""
    options = {"poll": POLL, **job.get("options", {}), **changes}
    items = options.pop("items", None) or items_of(job)
    return await getattr(fleets, job["action"])(job["name"], items, **options)


async def refusal_of(awaitable: Any) -> str:
    """Return the words of an argument's refusal; empty if it is not refused."""
    try:
        await awaitable
    except InvalidArgumentError as error:
        return str(error)
    return ""


async def work(job: dict[str, Any]) -> None:
    """Run one fleet to its end."""
    async with opened(job) as fleets:
        run = await submit(fleets, job)
        tell(submitted=True)
        tell(report=report_data(await run))


async def several(job: dict[str, Any]) -> None:
    """Run several fleets beside one another, and stay at work if the job says so."""
    async with opened(job) as fleets:
        runs = {each["action"]: await submit(fleets, {**job, **each}) for each in job["runs"]}
        tell(reports={action: report_data(await run) for action, run in runs.items()})
        if job.get("stays"):
            await asyncio.Event().wait()


async def stay(job: dict[str, Any]) -> None:
    """Run one fleet, and stay at work until the process is killed."""
    async with opened(job) as fleets:
        tell(report=report_data(await (await submit(fleets, job))))
        await asyncio.Event().wait()


async def same_name(job: dict[str, Any]) -> None:
    """Submit the same name again and again, while the run is in progress and after it has ended."""
    async with opened(job) as fleets:
        first = await submit(fleets, job)
        again = await submit(fleets, job)
        attached = await fleets.attach(job["name"])
        tell(other_items_meanwhile=await refusal_of(submit(fleets, job, items=items_of(job, plan_id=2))))
        tell(other_options_meanwhile=await refusal_of(submit(fleets, job, at_once=7)))
        tell(forgotten_meanwhile=await refusal_of(first.forget()))
        tell(reports=[report_data(await run) for run in (first, again, attached)])
        tell(iterated=sorted([data_of(outcome)["index"] async for outcome in await submit(fleets, job)]))
        tell(other_items_afterwards=await refusal_of(submit(fleets, job, items=items_of(job, plan_id=2))))
        tell(listed=[[run.name, run.action] for run in await fleets.list()])
        tell(unknown_name=await refusal_of(fleets.attach("nobody")))


async def attach(job: dict[str, Any]) -> None:
    """Submit an ended run again, in another process, and forget it."""
    async with opened(job) as fleets:
        run = await submit(fleets, job)
        tell(report=report_data(await run.snapshot()))
        tell(other_items=await refusal_of(submit(fleets, job, items=items_of(job, plan_id=2))))
        await run.forget()
        tell(listed=[run.name for run in await fleets.list()])
        tell(forgotten=await refusal_of(fleets.attach(job["name"])))
        # The servers are there now, and would be there twice.
        tell(created_again=await refusal_of(submit(fleets, job)))


async def cancel(job: dict[str, Any]) -> None:
    """Cancel a run as soon as one of its items has ended."""
    async with opened(job) as fleets:
        run = await submit(fleets, job)
        async for _ in run:
            await run.cancel()
            break
        tell(report=report_data(await run))


async def cancel_at_once(job: dict[str, Any]) -> None:
    """Cancel a run that another process has begun, as soon as the fleets are open."""
    async with opened(job) as fleets:
        run = await fleets.attach(job["name"])
        tell(before=report_data(await run.snapshot()))
        await run.cancel()
        tell(cancelled=report_data(await run.snapshot()))
        tell(report=report_data(await run))


async def twice(job: dict[str, Any]) -> None:
    """Open fleets in fleets, and one after another."""
    async with opened(job):
        try:
            async with opened({**job, "worker": "m2"}):
                pass
        except ConfigurationError as error:
            tell(second=str(error))
    await leave(job)
    async with opened(job) as fleets:
        tell(report=report_data(await (await submit(fleets, job))))


async def leave(job: dict[str, Any]) -> None:
    """Leave the fleets in the middle of a run, in order."""
    async with opened(job) as fleets:
        run = await submit(fleets, job)
        async for _ in run:
            break


async def close_the_client(job: dict[str, Any]) -> None:
    """Close the client in the middle of a run, and leave the fleets a moment later."""
    async with opened(job) as fleets:
        run = await submit(fleets, job)
        async for _ in run:
            break
        await fleets._client.aclose()
        await asyncio.sleep(0.5)


STORIES = {
    story.__name__: story
    for story in (work, several, stay, same_name, attach, cancel, cancel_at_once, twice, leave, close_the_client)
}


if __name__ == "__main__":
    asyncio.run(STORIES[sys.argv[1]](json.loads(sys.argv[2])))
