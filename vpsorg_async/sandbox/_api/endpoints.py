"""The nine endpoints, and those of the vendor's own programs: each a plain function from a request to an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import attrs

from .._state.account import STATUSES, TRANSITIONS, Account, Server
from .._state.catalogue import FOR_SALE
from .._state.refusals import not_found, wrong_fields
from . import validation as _bodies
from .dialect import spoken


PAGE_SIZE = 20
LARGEST_PAGE_SIZE = 100


@attrs.frozen(kw_only=True)
class Asked:
    """A request that is allowed to be made.

    Attributes:
        url: without its query.
        server_id: as the path gives it; empty where the path has none.
        headers: those that tell which dialect is spoken, by their names in lower case.
        ends_in: the status in which a command is to end; `None`: where it should.
    """

    account: Account
    now: float
    url: str
    query: Mapping[str, str]
    server_id: str
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict)
    ends_in: str | None = None

    @property
    def server(self) -> Server:
        """The server that the path names; refuses with 404."""
        return self.account.server(self.server_id, self.now)


@attrs.frozen
class Answer:
    """A status, and a body that is JSON or empty."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = attrs.field(factory=dict)


Endpoint = Callable[[Asked], Answer]


def list_servers(asked: Asked) -> Answer:
    """Answer one page, filtered."""
    status, location = asked.query.get("status"), asked.query.get("location")
    if status and status not in STATUSES:
        wrong = f"Select a valid choice. {status} is not one of the available choices."
        raise wrong_fields({"status": [wrong]})
    listed = spoken(asked).listed
    if not status and not location:
        # Only those on the page are looked at: a list of ten thousand is read by the page, a hundred times.
        account, now = asked.account, asked.now
        return _page(asked, len(account), lambda start, stop: map(listed, account.servers_between(start, stop, now)))
    servers = [
        server
        for server in asked.account.servers(asked.now)
        if (not status or server.status == status) and (not location or server.location == location)
    ]
    return _page(asked, len(servers), lambda start, stop: map(listed, servers[start:stop]))


def create(asked: Asked) -> Answer:
    """Begin a server."""
    data = _bodies.parse(asked.body)
    server = asked.account.create(_bodies.new_server(data), asked.now, asked.ends_in or "active")
    return Answer(201, spoken(asked, data).created(server))


def show(asked: Asked) -> Answer:
    """Answer everything about one server."""
    return Answer(200, spoken(asked).detailed(asked.server, asked.now))


def replace(asked: Asked) -> Answer:
    """Change all settings."""
    return _change(asked, partial=False)


def update(asked: Asked) -> Answer:
    """Change the settings given."""
    return _change(asked, partial=True)


def delete(asked: Asked) -> Answer:
    """Delete for good."""
    asked.account.delete(asked.server, asked.now)
    return Answer(204)


def command(name: str) -> Endpoint:
    """Return the endpoint that gives a server the command *name*."""

    def endpoint(asked: Asked) -> Answer:
        return _commanded(asked, asked.server, name)

    return endpoint


def power(asked: Asked) -> Answer:
    """Give a server the command that the body names, as the vendor's own newer clients do."""
    server = asked.server
    return _commanded(asked, server, _bodies.power_command(_bodies.parse(asked.body)))


def resize(asked: Asked) -> Answer:
    """Give a server another plan, as the vendor's `vps-mcp` does."""
    server = asked.server
    server = asked.account.resize(server, _bodies.new_plan(_bodies.parse(asked.body)), asked.now)
    return Answer(200, {**spoken(asked).accepted(server), "message": "Server is resized"})


def copy(what: str) -> Endpoint:
    """Return the endpoint that says that a *what* of a server is made; no call that is known would list it."""

    def endpoint(asked: Asked) -> Answer:
        return Answer(200, {**spoken(asked).accepted(asked.server), "message": f"{what} is being made"})

    return endpoint


def catalogue(items: Sequence[dict[str, Any]]) -> Endpoint:
    """Return the endpoint that answers one page of *items*."""

    def endpoint(asked: Asked) -> Answer:
        return _page(asked, len(items), lambda start, stop: items[start:stop])

    return endpoint


ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "/servers/": {"GET": list_servers, "POST": create},
    "/servers/{server_id}/": {"GET": show, "PUT": replace, "PATCH": update, "DELETE": delete},
    **{f"/servers/{{server_id}}/{name}/": {"POST": command(name)} for name in TRANSITIONS if name != "create"},
    "/servers/{server_id}/power/": {"POST": power},
    "/servers/{server_id}/resize/": {"POST": resize},
    "/servers/{server_id}/backup/": {"POST": copy("Backup")},
    "/servers/{server_id}/snapshot/": {"POST": copy("Snapshot")},
    **{f"/{name}/": {"GET": catalogue(items)} for name, items in FOR_SALE.items()},
}
"""Every path below the base path, and what answers each method."""


def link_to(asked: Asked, page: int) -> str:
    """Return the URL of that page of the list that was asked for."""
    query = {name: value for name, value in asked.query.items() if name != "page"}
    return f"{asked.url}?{urlencode(query | ({'page': str(page)} if page > 1 else {}))}".removesuffix("?")


def _commanded(asked: Asked, server: Server, name: str) -> Answer:
    return Answer(200, spoken(asked).accepted(asked.account.command(server, name, asked.now, asked.ends_in)))


def _change(asked: Asked, *, partial: bool) -> Answer:
    server = asked.server
    changes = _bodies.read(_bodies.SETTINGS, _bodies.parse(asked.body), partial=partial)
    return Answer(200, spoken(asked).detailed(asked.account.change(server, changes, asked.now), asked.now))


def _page(asked: Asked, count: int, between: Callable[[int, int], Iterable[dict[str, Any]]]) -> Answer:
    size = min(_whole(asked.query.get("page_size")) or PAGE_SIZE, LARGEST_PAGE_SIZE)
    last = max(1, -(-count // size))
    asked_page = asked.query.get("page", "1")
    page = last if asked_page == "last" else _whole(asked_page)
    if not 1 <= page <= last:
        raise not_found("Invalid page.")
    links = {
        "next": link_to(asked, page + 1) if page < last else None,
        "previous": link_to(asked, page - 1) if page > 1 else None,
    }
    if last == 1 and not asked.query.keys() & {"page", "page_size"}:
        # All that the documentation knows: where paging plays no part the answer has no trace of it.
        links = {}
    return Answer(200, {"count": count, **links, "results": list(between((page - 1) * size, page * size))})


def _whole(text: str | None) -> int:
    """Return the number that *text* writes; 0 where it writes none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004
