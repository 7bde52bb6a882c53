"""What many servers are made from."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class ServerSpec:
    """What a server is created from; the arguments of `client.servers.create`.

    Attributes:
        name: letters, digits and hyphens.
        plan_id: the plan.
        os_id: the operating system.
        location: the datacenter's code, such as `"us-west"`.
        hostname: its fully qualified name, if it is to have one.
        ssh_key_id: the SSH key to install, if any.
        backups_enabled: whether it is backed up automatically.
    """

    name: str
    plan_id: int | str
    os_id: int | str
    location: str
    hostname: str | None = None
    ssh_key_id: int | str | None = None
    backups_enabled: bool = False
