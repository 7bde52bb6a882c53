"""How the library is used, as type checkers see it: checked, never run."""

from __future__ import annotations

import ssl

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal, assert_type

import httpx

from starlette.applications import Starlette
from starlette.requests import Request

from vpsorg_async import (
    NOT_GIVEN,
    Account,
    Action,
    APIConnectionError,
    APIStatusError,
    Client,
    Event,
    Fleet,
    FleetReport,
    FleetRun,
    Location,
    NotFoundError,
    OperatingSystem,
    Outcome,
    OutcomeUnknownError,
    Plan,
    PollPolicy,
    Progress,
    ResourceUsage,
    RetryPolicy,
    Server,
    ServerChange,
    ServerList,
    ServerRef,
    ServerSpec,
    ServerStatus,
    StatusSeen,
    WaitError,
    WaitTimeoutError,
)
from vpsorg_async.durable import DurableFleets, DurableRun
from vpsorg_async.integrations.fastapi import ChangeEvents, ClientDep, change_events, error_handlers, lifespan
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


def plain_token() -> str:
    return "token"


async def async_token() -> str:
    return "token"


def told(event: Event) -> None:
    assert_type(event.name, str)
    assert_type(event.at, float)


async def changed(server: Server) -> None:
    assert_type(server.status, ServerStatus | str)


def has_address(server: Server) -> bool:
    return server.ip_address is not None


async def configure() -> None:
    Client()
    Client("token")
    Client(plain_token)
    Client(async_token, base_url=None, timeout=None, attempt_timeout=None)
    client = Client(
        "token",
        base_url="https://admin.vps.org/api/v1",
        timeout=30,
        attempt_timeout=1.5,
        retry=RetryPolicy(attempts=2, initial=0.1, maximum=1.0, budget=0.5),
        max_connections=10,
        transport=httpx.AsyncHTTPTransport(),
        proxy=None,
        ssl_context=ssl.create_default_context(),
        headers={"X-Team": "a"},
        user_agent="app/1.0",
        allow_http=True,
        on_event=told,
    )
    async with client as entered:
        assert_type(entered, Client)
    assert_type(client.with_options(timeout=None, attempt_timeout=1, retry=RetryPolicy.none()), Client)
    assert_type(client.http, httpx.AsyncClient)
    assert_type(await client.request("GET", "/servers/", params={"a": "1"}, timeout=None), httpx.Response)
    assert_type(await client.request("POST", "/servers/", json={"a": [1]}), httpx.Response)
    await client.aclose()


async def call(client: Client) -> None:
    servers = client.servers
    assert_type(servers.list(), ServerList)
    assert_type(await servers.list(status="active", location="us-west", skip_invalid=True, timeout=None), list[Server])
    assert_type(await servers.list(status=[ServerStatus.ACTIVE, "stopped"]).all(), list[Server])
    async for one in servers.list(status=ServerStatus.STOPPED):
        assert_type(one, Server)
    server = await servers.get(7, timeout=NOT_GIVEN)
    assert_type(server, Server)
    assert_type(await servers.get("uuid"), Server)
    assert_type(await servers.get(server), Server)
    assert_type(await servers.get_by_name("web-01"), Server | None)
    assert_type(await servers.create(name="a", plan_id=1, os_id="5", location="us-west"), Server)
    assert_type(await servers.replace(7, name="a", hostname=None, backups_enabled=True), Server)
    assert_type(await servers.update(7, hostname=None), Server)
    assert_type(await servers.start(7), Action)
    assert_type(await servers.stop("7"), Action)
    assert_type(await servers.reboot(server, timeout=None), Action)
    await servers.delete(7)


async def choose(client: Client) -> None:
    assert_type(await client.plans.list(location="us-west"), list[Plan])
    assert_type(await client.plans.get(1, timeout=5), Plan)
    assert_type(await client.plans.get_by_name("standard"), Plan | None)
    assert_type(await client.locations.list(), list[Location])
    assert_type(await client.locations.get_by_name("us-west"), Location | None)
    assert_type(await client.operating_systems.list(), list[OperatingSystem])
    system = await client.operating_systems.get_by_name("Debian 13")
    assert_type(system, OperatingSystem | None)
    assert system is not None
    assert_type(system.versions, tuple[OperatingSystem, ...] | None)
    account = await client.account.me()
    assert_type(account, Account)
    assert_type(account.created_at, date | None)
    assert_type(account.token.permissions, tuple[str, ...])


async def wait(client: Client, server: Server) -> None:
    servers = client.servers
    assert_type(await servers.wait_until(7, status="active"), Server)
    assert_type(
        await servers.wait_until(
            server,
            status={"active", ServerStatus.STOPPED},
            timeout=None,
            poll=PollPolicy(minimum=0.5),
            fail_on=(),
            on_change=changed,
            detail=False,
            when=has_address,
            steady=5,
        ),
        Server,
    )
    assert_type(await servers.wait_until_reachable(7, port=22, timeout=None, poll=PollPolicy()), Server)
    assert_type(await server.wait_until_reachable(port=443), Server)
    await servers.wait_until_deleted(7, timeout=1, poll=PollPolicy(minimum=0.5))
    action = await server.reboot()
    assert_type(action.name, str)
    assert_type(action.to_dict(), dict[str, Any])
    assert_type(Action.from_dict({}), Action)
    assert_type(servers.bind(action), Action)
    assert_type(servers.bind(server), Server)
    assert_type(await action.wait(timeout=None), Server)
    assert_type(
        await action.wait(
            60, poll=PollPolicy(), on_change=changed, detail=False, when=lambda seen: bool(seen.plan), steady=1.5
        ),
        Server,
    )


async def use_a_server(server: Server) -> None:
    assert_type(await server.refresh(), Server)
    assert_type(await server.start(timeout=1), Action)
    assert_type(await server.stop(), Action)
    assert_type(await server.replace(name="a", hostname="h", backups_enabled=False), Server)
    assert_type(await server.update(name="a"), Server)
    assert_type(await server.wait_until(status="active", fail_on="suspended", on_change=print), Server)
    assert_type(await server.wait_until(status="active", when=has_address, steady=5), Server)
    await server.wait_until_deleted(poll=PollPolicy())
    await server.delete()


async def ended(outcome: Outcome) -> None:
    assert_type(outcome.index, int)
    assert_type(outcome.item, Server | int | str | ServerSpec)
    assert_type(outcome.state, Literal["succeeded", "failed", "pending", "unknown", "skipped"])
    assert_type(outcome.server, Server | None)
    assert_type(outcome.value, Any)
    assert_type(outcome.error, Exception | None)
    assert_type(outcome.accepted, bool)
    assert_type(outcome.began_at, datetime | None)
    assert_type(outcome.ended_at, datetime | None)


def moved(progress: Progress) -> None:
    assert_type(progress.total - progress.begun, int)
    assert_type(progress.pending, int)


async def act_on_many(client: Client, server: Server) -> None:
    fleet = client.fleet([server, 7, "8"])
    assert_type(fleet, Fleet)
    client.fleet(await client.servers.list())
    client.fleet(range(7))
    run = fleet.start(at_once=5, tolerate=0.05, timeout=None, on_outcome=ended, progress=moved)
    assert_type(run, FleetRun)
    assert_type(run.report, FleetReport)
    assert_type(await run, FleetReport)
    assert_type(await run.run(), FleetReport)
    assert_type(await fleet.stop(wait=False, tolerate=3, if_needed=True), FleetReport)
    assert_type(await fleet.stop(stop_on=(), poll=PollPolicy()), FleetReport)
    assert_type(await fleet.stop(stop_on=[NotFoundError]), FleetReport)
    assert_type(await fleet.reboot(on_outcome=print), FleetReport)
    assert_type(await fleet.delete(tolerate=None), FleetReport)
    assert_type(await fleet.update(hostname=None, at_once=1), FleetReport)
    assert_type(await fleet.wait_until(status="active", poll=PollPolicy(), fail_on=()), FleetReport)
    assert_type(await fleet.apply(client.servers.get), FleetReport)
    assert_type(await fleet.apply(lambda item: f"{item}"), FleetReport)
    specs = [ServerSpec(name="a", plan_id=1, os_id="5", location="us-west", ssh_key_id=None)]
    assert_type(await client.fleet.create(specs, wait=False), FleetReport)
    async with client.fleet.create(iter(specs)) as outcomes:
        async for outcome in outcomes:
            assert_type(outcome, Outcome)
    report = run.report
    assert_type(report.outcomes, tuple[Outcome, ...])
    assert_type(report.action, str)
    assert_type(report.succeeded + report.failed + report.pending, tuple[Outcome, ...])
    assert_type(report.unknown + report.skipped, tuple[Outcome, ...])
    assert_type(report[0], Outcome)
    assert_type(report[1:], tuple[Outcome, ...])
    assert_type(report.stopped_by, Exception | None)
    assert_type(len(report), int)
    assert_type([outcome.state == "failed" for outcome in report], list[bool])
    report.raise_for_failures()


async def watch(client: Client, server: Server) -> None:
    async for change in client.servers.watch():
        seen: ServerChange = change
        assert_type(seen.before, Server | None)
        assert_type(seen.after, Server | None)
        assert_type(seen.server, Server)
        assert_type(seen.fields, frozenset[str])
        if change.kind == "changed":
            assert_type(change.before.name + change.after.name, str)
        elif change.kind == "gone":
            assert_type(change.before, Server)
        match change.kind:
            case "appeared":
                assert_type(change.after, Server)
        if change.after is None:
            assert_type(change.before, Server)
        match change:
            case ServerChange(before=Server() as before, after=Server()):
                assert_type(before.name, str)
    watch = client.servers.watch([server, 7, "8"], interval=1, failures=None)
    assert_type(watch.synced, bool)
    ServerChange(None, server)


async def watch_as_the_readme_does(client: Client) -> None:
    async for change in client.servers.watch():
        if change.kind == "changed" and change.before.status != change.after.status:
            assert_type(change.before.name, str)
        change.before.name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]  # noqa: B018 - it may have appeared


async def outlive_the_process(client: Client) -> None:
    async with DurableFleets(client, store="sqlite:///fleets.db", worker="a") as fleets:
        run = await fleets.start("nightly", [7, "8"], at_once=5, wait=True)
        assert_type(run, DurableRun)
        assert_type(await run, FleetReport)
        async for outcome in run:
            assert_type(outcome, Outcome)
        assert_type(await run.snapshot(), FleetReport)
        assert_type(await fleets.list(), list[DurableRun])
        assert_type(await fleets.attach("nightly"), DurableRun)


async def practise() -> None:
    sandbox = Sandbox(servers=3, latency=(0.1, 0.2))
    assert_type(sandbox.client(), Client)
    assert_type(sandbox.client(token="other", timeout=None, retry=RetryPolicy.none(), on_event=told), Client)
    sandbox.client(proxy="http://proxy")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with sandbox.faults.inject(Fault.drop(after_commit=True, method="POST"), Fault.delay(5, every=3)):
        Fault.delay(5, evry=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def read(server: Server, action: Action) -> None:
    assert_type(server.id, int | str)
    assert_type(server.name, str)
    assert_type(server.hostname, str | None)
    assert_type(server.plan, Plan | None)
    assert_type(server.os, OperatingSystem | None)
    assert_type(server.resource_usage, ResourceUsage | None)
    assert_type(server.created_at, datetime | None)
    assert_type(server.backups_enabled, bool | None)
    assert_type(Server.from_dict(server.to_dict()), Server)
    assert_type(action.server, ServerRef)
    assert_type(action.status, str)


def handle(error: Exception) -> None:
    if isinstance(error, WaitTimeoutError):
        assert_type(error.server, Server | None)
    if isinstance(error, WaitError):
        assert_type(error.history, tuple[StatusSeen, ...])
    if isinstance(error, OutcomeUnknownError):
        assert_type(error.candidates, tuple[Server, ...])
        assert_type(error.request_summary, str | None)
    if isinstance(error, APIConnectionError):
        assert_type(error.sent, bool | None)
    if isinstance(error, APIStatusError):
        assert_type(error.status_code, int)
        assert_type(error.fields, dict[str, list[str]])
        assert_type(error.headers, Mapping[str, str])
        assert_type(error.retry_after, float | None)
        assert_type(error.body, bytes)


async def must_not_pass(client: Client, server: Server) -> None:
    Client(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Client("token", "https://x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Client("token", max_connections="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Client("token", retry=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.with_options(timeout="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.servers.list(status="actve")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.servers.wait_until(7, status="actve")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.servers.wait_until(7)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await client.servers.get(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.servers.get(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.servers.create(name="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.servers.replace(7, name="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await client.servers.update(7, name=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await server.update("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    server.name = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    client.fleet(client.servers.list())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.fleet(server)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.fleet([7]).start(atonce=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.fleet([7]).start(at_once="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.fleet([7]).start(stop_on="401")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.fleet([7]).reboot(if_needed=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.fleet([7]).update(name=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.fleet([7]).wait_until(status="actve")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.fleet.create([7])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    ServerSpec("a", 1, 5, "us-west")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.servers.watch(interval="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RetryPolicy(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    (await client.servers.start(7)).ip_address  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # noqa: B018 - what an action lacks


def web(app: Starlette, request: Request, client: Client) -> None:
    app.router.lifespan_context = lifespan("token", timeout=20, on_event=None)
    error_handlers(app)
    assert_type(change_events(request, client.servers.watch()), ChangeEvents)
    lifespan(tokn="token")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    lifespan(timeout="20")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def route(client: ClientDep) -> None:
    assert_type(await client.servers.get(7), Server)
