"""Builds a server, and pages of 10,000, in the shape of each peer's API.

All of them are about equally long.
"""

from __future__ import annotations

import dataclasses

from collections.abc import Callable
from typing import Any


SERVERS = 10_000
PAGE = 100
ID = 12_345
"""The id of the server that GETs request."""


@dataclasses.dataclass(frozen=True)
class Page:
    """Page *number* of *pages*, counted from 1. `url(n)` is the URL of page n."""

    items: list[Any]
    number: int
    pages: int
    size: int
    url: Callable[[int], str]

    def neighbour(self, by: int) -> int | None:
        number = self.number + by
        return number if 1 <= number <= self.pages else None

    def link(self, by: int) -> str | None:
        number = self.neighbour(by)
        return None if number is None else self.url(number)


@dataclasses.dataclass(frozen=True)
class Dialect:
    """The place of an API's servers, and the shapes of a server and of a page."""

    base: str
    collection: str
    size: str
    server: Callable[[int], dict[str, Any]]
    detail: Callable[[int], dict[str, Any]]
    page: Callable[[Page], dict[str, Any]]


def vps(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"web-server-{number:05}",
        "hostname": f"web{number:05}.example.com",
        "status": "active",
        "ip_address": _address(number),
        "location": "us-west",
        "plan": {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4096, "storage": 80},
        "os": {"id": 5, "name": "Ubuntu 22.04 LTS"},
        "created_at": "2025-01-10T14:30:00Z",
        "updated_at": "2025-01-15T10:20:00Z",
    }


def vps_detail(number: int) -> dict[str, Any]:
    listed = vps(number)
    return {
        **listed,
        "ipv6_address": f"2001:db8::{number:x}",
        "plan": {**listed["plan"], "bandwidth": 2048},
        "backups_enabled": True,
        "resource_usage": {"cpu_percent": 23.5, "memory_used": 2048, "disk_used": 35, "bandwidth_used": 450},
    }


def vps_page(page: Page) -> dict[str, Any]:
    return {"count": SERVERS, "next": page.link(+1), "previous": page.link(-1), "results": page.items}


def hetzner(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"web-server-{number:05}",
        "status": "running",
        "created": "2025-01-10T14:30:00+00:00",
        "public_net": {
            "ipv4": {"id": number, "ip": _address(number), "blocked": False, "dns_ptr": "web.example.com"},
            "ipv6": None,
            "floating_ips": [],
            "firewalls": [],
        },
        "server_type": {"id": 1, "name": "cx22", "cores": 2, "memory": 4.0},
    }


def hetzner_detail(number: int) -> dict[str, Any]:
    return hetzner(number) | {
        "image": {"id": 5, "name": "ubuntu-22.04", "os_flavor": "ubuntu", "os_version": "22.04"},
        "protection": {"delete": False, "rebuild": False},
        "labels": {},
        "location": {"id": 1, "name": "fsn1"},
    }


def hetzner_page(page: Page) -> dict[str, Any]:
    pagination = {
        "page": page.number,
        "per_page": page.size,
        "previous_page": page.neighbour(-1),
        "next_page": page.neighbour(+1),
        "last_page": page.pages,
        "total_entries": SERVERS,
    }
    return {"servers": page.items, "meta": {"pagination": pagination}}


def linode(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "label": f"web-server-{number:05}",
        "group": "web",
        "status": "running",
        "ipv4": [_address(number)],
        "ipv6": f"2001:db8::{number:x}/128",
        "region": "us-west",
        "type": "g6-standard-2",
        "image": "linode/ubuntu22.04",
        "specs": {"vcpus": 2, "memory": 4096, "disk": 81920, "transfer": 4000, "gpus": 0},
        "created": "2025-01-10T14:30:00",
        "updated": "2025-01-15T10:20:00",
    }


def linode_detail(number: int) -> dict[str, Any]:
    return linode(number) | {
        "alerts": {"cpu": 180, "network_in": 10, "network_out": 10, "transfer_quota": 80, "io": 10000},
        "hypervisor": "kvm",
        "watchdog_enabled": True,
        "tags": ["web"],
    }


def linode_page(page: Page) -> dict[str, Any]:
    return {"data": page.items, "page": page.number, "pages": page.pages, "results": SERVERS}


def digitalocean(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"web-server-{number:05}",
        "status": "active",
        "memory": 4096,
        "vcpus": 2,
        "disk": 80,
        "size_slug": "s-2vcpu-4gb",
        "region": {"slug": "sfo3", "name": "San Francisco 3"},
        "image": {"id": 5, "name": "22.04 x64", "distribution": "Ubuntu"},
        "networks": {"v4": [{"ip_address": _address(number), "type": "public"}], "v6": []},
        "created_at": "2025-01-10T14:30:00Z",
    }


def digitalocean_detail(number: int) -> dict[str, Any]:
    return digitalocean(number) | {
        "locked": False,
        "kernel": None,
        "backup_ids": [53893572],
        "snapshot_ids": [67512819],
        "features": ["backups", "private_networking", "ipv6"],
        "volume_ids": [],
        "tags": ["web", "env:prod"],
    }


def digitalocean_page(page: Page) -> dict[str, Any]:
    links = {"next": page.link(+1), "prev": page.link(-1)}
    pages = {name: link for name, link in links.items() if link is not None}
    return {"droplets": page.items, "links": {"pages": pages}, "meta": {"total": SERVERS}}


def _address(number: int) -> str:
    return f"203.0.{number // 250}.{number % 250}"


DIALECTS = {
    dialect.base + dialect.collection: dialect
    for dialect in (
        Dialect("/api/v1", "/servers", "page_size", vps, vps_detail, vps_page),
        Dialect(
            "/hetzner/v1",
            "/servers",
            "per_page",
            hetzner,
            lambda number: {"server": hetzner_detail(number)},
            hetzner_page,
        ),
        Dialect("/linode/v4", "/linode/instances", "page_size", linode, linode_detail, linode_page),
        Dialect(
            "/digitalocean",
            "/v2/droplets",
            "per_page",
            digitalocean,
            lambda number: {"droplet": digitalocean_detail(number)},
            digitalocean_page,
        ),
    )
}
"""The dialects by the path of their collection."""
