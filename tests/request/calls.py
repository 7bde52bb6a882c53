"""Calls by their names, for the tests that make each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from vpsorg_async import Client

SPEC: dict[str, Any] = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}


async def make(client: Client, call: str) -> Any:
    """Make the call of that name."""
    calls = {
        "get": lambda: client.servers.get(7),
        "list": lambda: client.servers.list().all(),
        "create": lambda: client.servers.create(**SPEC),
        "replace": lambda: client.servers.replace(7, name="a", hostname=None, backups_enabled=True),
        "update": lambda: client.servers.update(7, name="a"),
        "delete": lambda: client.servers.delete(7),
        "start": lambda: client.servers.start(7),
        "stop": lambda: client.servers.stop(7),
        "reboot": lambda: client.servers.reboot(7),
        "request": lambda: client.request("POST", "/anything/"),
    }
    return await calls[call]()
