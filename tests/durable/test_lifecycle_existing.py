"""Tests a worker on the dbos of an application, in a process of its own: dbos is one per process."""

from __future__ import annotations

import pytest

from tests.processes import ran
from vpsorg_async.sandbox import Sandbox


PROGRAM = """
import asyncio, os, sys
from dbos import DBOS
from vpsorg_async import Client, ServerSpec
from vpsorg_async.durable import DurableFleets
from vpsorg_async.durable._database import engine_of
from vpsorg_async.durable._store_url import checked_store

STORE = sys.argv[1]
SPECS = [ServerSpec(name=f"web-{n}", plan_id=1, os_id=5, location="us-west") for n in range(3)]

@DBOS.workflow()
async def of_the_application():
    return "its own"

async def main():
    async with Client() as client:
        fleets = DurableFleets(client, store=STORE, worker="me", use_existing=True)
        # On Python 3.12 and an older SQLite, dbos's own engine does not work.
        DBOS(config={"name": "app", "system_database_url": STORE, "executor_id": "me", "application_version": "7",
                     "system_database_engine": engine_of(checked_store(STORE), connections=20), "log_level": "ERROR"})
        DBOS.launch()
        async with fleets:
            report = await (await fleets.create("web", SPECS))
        handle = await DBOS.start_workflow_async(of_the_application)
        print(len(report.succeeded), await handle.get_result())
        DBOS.destroy()

asyncio.run(main())
"""


OUTSIDE = """
import asyncio, sys
from dbos import DBOS
from vpsorg_async import Client, VPSError
from vpsorg_async.durable import DurableFleets
from vpsorg_async.durable._database import engine_of
from vpsorg_async.durable._store_url import checked_store

STORE, OTHER = sys.argv[1:3]
CONFIG = {"name": "app", "executor_id": "me", "application_version": "7", "log_level": "ERROR"}

def engine(store):
    return engine_of(checked_store(store), connections=20)

fleets = DurableFleets(Client(), store=STORE, worker="me", use_existing=True)

async def main():
    if sys.argv[3] == "of another engine":
        DBOS(config={**CONFIG, "system_database_url": STORE, "system_database_engine": engine(OTHER)})
        DBOS.launch()
    try:
        async with fleets:
            print("entered")
    except VPSError as error:
        print(f"{type(error).__name__}: {error}")

if sys.argv[3] == "launched outside":
    DBOS(config={**CONFIG, "system_database_engine": engine(STORE)})
    DBOS.launch()
asyncio.run(main())
DBOS.destroy()
"""


def test_the_dbos_of_an_application_does_the_work_and_goes_on(tmp_path):
    sandbox = Sandbox()
    with sandbox.serve(speed=200) as base_url:
        where = {"VPS_API_TOKEN": "vps_sandbox", "VPS_API_URL": base_url}
        done = ran("-c", PROGRAM, f"sqlite:///{tmp_path / 'app.sqlite'}", **where)

    assert (done.returncode, done.stdout) == (0, "3 its own\n"), done.stderr
    assert sorted(server["name"] for server in sandbox.servers) == ["web-0", "web-1", "web-2"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            "launched outside",
            "the dbos of this process does not work in this event loop: call DBOS.launch() in a coroutine of it",
        ),
        ("of another engine", "store='{store}' is not the database of this process's dbos: give that"),
    ],
)
def test_a_dbos_that_would_never_work_on_the_runs_is_refused(how, said, tmp_path):
    """D2: its workers run in the loop it was launched in, on the database of its engine."""
    store, other = (f"sqlite:///{tmp_path / name}.sqlite" for name in ("app", "other"))

    done = ran("-c", OUTSIDE, store, other, how, VPS_API_TOKEN="vps_sandbox")

    assert done.stdout == f"ConfigurationError: {said.format(store=store)}\n", done.stderr
