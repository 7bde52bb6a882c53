"""`python -m vpsorg_async demo`: creates, reboots, stops and deletes five servers, on the sandbox or `--live`."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
import time

from typing import TYPE_CHECKING, Any

import anyio

from ._client import Client
from ._errors import NotFoundError, OutcomeUnknownError, VPSError
from ._extras import missing
from ._policies import PollPolicy
from ._version import __version__


if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from ._models import Server

    Say = Callable[[str], None]

SPEED = 60.0
"""Sandbox seconds in one second: a provisioning of 2 to 5 minutes takes 2 to 5 s."""

QUICK = PollPolicy(minimum=0.1, maximum=0.1)
NAMES = tuple(f"demo-{number}" for number in range(1, 6))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m vpsorg_async", description="VPS.org's servers API, from Python.")
    parser.add_argument("--version", action="version", version=f"vpsorg-async {__version__}")
    demo = parser.add_subparsers(dest="command").add_parser("demo", help="create, reboot, stop and delete five servers")
    demo.add_argument("--live", action="store_true", help="on the real account of VPS_API_TOKEN: this costs money")
    demo.add_argument("--plan-id", type=int, default=1)
    demo.add_argument("--os-id", type=int, default=5)
    demo.add_argument("--location", default="us-west")
    options = parser.parse_args(arguments)
    if not getattr(options, "live", False) and (refusal := missing("sandbox")) is not None:
        print(refusal, file=sys.stderr)
        return 2
    if options.command is None:
        parser.error("give a command: demo")
    spec = {"plan_id": options.plan_id, "os_id": options.os_id, "location": options.location}
    status = 0
    try:
        anyio.run(functools.partial(live if options.live else offline, spec))
    except* VPSError as group:
        for error in _leaves(group):
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        status = 1
    except* KeyboardInterrupt:
        status = 130
    return status


async def offline(spec: dict[str, int | str]) -> None:
    """Run the demo on a sandbox of its own, over HTTP on a loopback socket."""
    from .sandbox import Sandbox  # noqa: PLC0415 - an extra that `--live` does not need

    sandbox = Sandbox(token="vps_sandbox")  # noqa: S106 - the sandbox's
    async with (
        sandbox.serve(port=0, speed=SPEED) as base_url,
        Client("vps_sandbox", base_url=base_url) as client,
    ):
        print(f"The sandbox listens on {base_url}; its time runs {SPEED:g} times as fast.")
        await story(client, spec, saying(SPEED), QUICK)


async def live(spec: dict[str, int | str]) -> None:
    """Run the demo on the real account."""
    async with Client() as client:
        await story(client, spec, saying(1.0), PollPolicy())


def saying(speed: float) -> Say:
    """Return a function that prints a line after the number of seconds that have passed, times *speed*."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{(time.monotonic() - began) * speed:6.0f} s  {text}", flush=True)

    return say


async def story(client: Client, spec: dict[str, int | str], say: Say, poll: PollPolicy) -> None:
    """Create five servers at once, wait for them, reboot, stop and delete them. *say* prints each change.

    After an error or a cancel, the demo deletes the servers that it created, and says which may be left.
    """
    # The servers that may still exist.
    made: dict[str, Server] = {}

    def seen(server: Server) -> None:
        say(f"{server.name}: {server.status}" + (f" at {server.ip_address}" if server.status == "active" else ""))

    async def create(name: str) -> None:
        # A create that is cut off may leave an unknown server, so a cancel waits until it has ended.
        with anyio.CancelScope(shield=True):
            try:
                made[name] = await client.servers.create(name=name, **spec)  # type: ignore[call-overload]
            except OutcomeUnknownError as error:
                which = " or ".join(str(server.id) for server in error.candidates) or "not found so far"
                say(f"{name}: may be left, and cost money: server {which}")
                raise
        made[name] = await made[name].wait_until(status="active", poll=poll, on_change=seen)

    async def reboot(name: str) -> None:
        await made[name].reboot()
        made[name] = await made[name].wait_until(status="active", poll=poll, on_change=seen)

    async def stop(name: str) -> None:
        await made[name].stop()
        made[name] = await made[name].wait_until(status="stopped", poll=poll, on_change=seen)

    async def delete(name: str) -> None:
        with contextlib.suppress(NotFoundError):
            await made[name].delete()
        await made[name].wait_until_deleted()
        del made[name]
        say(f"{name}: gone")

    async def clean_up(name: str) -> None:
        # An error must not keep the other servers from being deleted. `made` still holds this one.
        with contextlib.suppress(Exception):
            await delete(name)

    steps = {"Creating": create, "Rebooting": reboot, "Stopping": stop, "Deleting": delete}
    try:
        for title, step in steps.items():
            say(f"{title} {len(NAMES)} servers at once")
            await _at_once(step, NAMES)
    finally:
        try:
            with anyio.CancelScope(shield=True):
                await _at_once(clean_up, tuple(made))
        finally:
            for name, server in made.items():
                say(f"{name}: may be left, and cost money: server {server.id}")


async def _at_once(function: Callable[[str], Coroutine[Any, Any, None]], names: Iterable[str]) -> None:
    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(function, name)


def _leaves(group: BaseExceptionGroup[VPSError]) -> Iterator[VPSError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    sys.exit(main())
