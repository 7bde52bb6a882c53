"""Tests cuts of every response of the nine endpoints, at every byte.

The connection ends by a close and by a reset, by turns. The call is retried or reconciled, and nothing is created or
rebooted twice. `tests/test_commands_create_cuts.py` cuts the request of a create at any byte.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json as jsonlib
import re

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from tests.helpers import ROOT
from tests.helpers_api import SPEC, FakeAPI, VirtualClock, client_over
from tests.rawserver import Bytes, chunked, cut, json
from vpsorg_async import BadRequestError, Client, InsufficientCreditsError, OutcomeUnknownError, RetryPolicy


pytestmark = pytest.mark.anyio

ID = 12345
SERVER = f"/servers/{ID}/"
AT_ONCE = RetryPolicy(initial=0, maximum=0, budget=10)
CONFLICT = json(400, {"detail": "Server is already running."})


def documented(name: str) -> Any:
    return jsonlib.loads((ROOT / "tests" / "contract" / f"{name}.json").read_text())


DETAIL = json(200, documented("detail"))
BODY = jsonlib.dumps(documented("detail")).encode()


def action(status: str) -> Bytes:
    body = documented("action")
    return json(200, {**body, "server": {**body["server"], "status": status}})


@attrs.frozen
class Endpoint:
    """A call of an endpoint, its whole response, and what follows after a cut.

    `after` has the next responses, and `times` is the number of requests.
    """

    call: Callable[[Client], Awaitable[Any]]
    method: str
    path: str
    response: Bytes
    after: tuple[Bytes, ...]
    is_right: Callable[[Any], object]
    # The response to a GET of the server, for calls that a response alone does not settle.
    shown: Bytes = DETAIL
    times: int = 2


MOMENTS = itertools.count()


def rebooting_anew(_request: Any) -> Any:
    """Show another reboot than the last time: with an `updated_at` of its own."""
    moment = dt.datetime(2031, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=next(MOMENTS))
    return json(200, {**documented("detail"), "status": "rebooting", "updated_at": moment.isoformat()})


REPEATED = {
    "list": Endpoint(
        lambda client: client.servers.list().all(),
        "GET",
        "/servers/",
        json(200, documented("list")),
        (json(200, documented("list")),),
        lambda servers: [server.id for server in servers] == [one["id"] for one in documented("list")["results"]],
    ),
    "get": Endpoint(
        lambda client: client.servers.get(ID), "GET", SERVER, DETAIL, (DETAIL,), lambda server: server.id == ID
    ),
    "get, in chunks": Endpoint(
        lambda client: client.servers.get(ID),
        "GET",
        SERVER,
        chunked(200, [BODY[:100], BODY[100:300], BODY[300:]]),
        (DETAIL,),
        lambda server: server.to_dict() == documented("detail"),
    ),
    "replace": Endpoint(
        lambda client: client.servers.replace(ID, name="a", hostname="b.example.com", backups_enabled=True),
        "PUT",
        SERVER,
        DETAIL,
        (DETAIL,),
        lambda server: server.id == ID,
    ),
    "update": Endpoint(
        lambda client: client.servers.update(ID, name="a"),
        "PATCH",
        SERVER,
        DETAIL,
        (DETAIL,),
        lambda server: server.id == ID,
    ),
    "delete": Endpoint(
        lambda client: client.servers.delete(ID),
        "DELETE",
        SERVER,
        json(204, None),
        (json(404, {"detail": "Not found."}),),
        lambda nothing: nothing is None,
    ),
    "start": Endpoint(
        lambda client: client.servers.start(ID),
        "POST",
        f"{SERVER}start/",
        action("starting"),
        (CONFLICT,),
        lambda started: started.server.status in ("starting", "active"),
    ),
    "stop": Endpoint(
        lambda client: client.servers.stop(ID),
        "POST",
        f"{SERVER}stop/",
        action("stopping"),
        (CONFLICT,),
        lambda stopped: stopped.server.status == "stopping",
        shown=json(200, {**documented("detail"), "status": "stopping"}),
    ),
    "reboot": Endpoint(
        lambda client: client.servers.reboot(ID),
        "POST",
        f"{SERVER}reboot/",
        action("rebooting"),
        (action("rebooting"),),
        lambda rebooted: rebooted.server.status == "rebooting",
        shown=rebooting_anew,
        times=1,
    ),
}


def cuts(places: Any, response: Bytes) -> Any:
    """Yield places in *response*, and the response cut there.

    The ends of its lines are always among the places.
    """
    length = len(response.data)
    ends = [found.end() for found in re.finditer(rb"\r\n", response.data)]
    for at, reset in zip(places(length, *ends, length - 1), itertools.cycle([False, True]), strict=False):
        # After a whole response and a reset, the kernel decides if the response arrives, and not the client.
        yield at, cut(response, at, reset=reset and at < length)


@pytest.mark.parametrize("name", REPEATED)
async def test_the_call_ends_as_if_nothing_had_been_cut(name, server, places):
    """The call is sent again, or reconciled if it is a reboot, and one right result is returned."""
    endpoint = REPEATED[name]
    server.answer("GET", SERVER, endpoint.shown)

    async with Client("vps_test", base_url=server.base_url, retry=AT_ONCE) as client:
        for at, reply in cuts(places, endpoint.response):
            server.requests.clear()
            server.answer(endpoint.method, endpoint.path, [reply, *endpoint.after])

            result = await endpoint.call(client)

            assert endpoint.is_right(result), at
            requests = 1 if at == len(endpoint.response.data) else endpoint.times
            assert len(server.requests_to(endpoint.method, endpoint.path)) == requests, at
            assert server.connections_open <= 1


async def test_a_create_is_sent_once_and_its_server_returned(server, places):
    api = FakeAPI(server)

    async with Client("vps_test", base_url=server.base_url, retry=AT_ONCE) as client:
        made = await client.servers.create(**SPEC)
        for at, _ in cuts(places, api.create(server.requests[0])):
            server.requests.clear()
            api.servers.clear()
            api.created.clear()
            server.answer("POST", "/servers/", api.committed(lambda whole, at=at: cut(whole, at)))

            made = await client.servers.create(**SPEC)

            assert api.created == [made.id], at
            assert len(server.requests_to("POST")) == 1, at


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (json(400, {"name": ["Enter a valid name."]}), BadRequestError),
        (json(402, {"detail": "Insufficient credits."}), InsufficientCreditsError),
    ],
    ids=["400", "402"],
)
async def test_a_refusal_of_a_create_is_unknown_while_its_status_is(refusal, error, server, places):
    """A cut before the end of the head leaves the outcome open.

    After the head, the status counts. The create is not sent again in either case.
    """
    head = refusal.data.index(b"\r\n\r\n") + 4
    FakeAPI(server)

    async with client_over(server, VirtualClock(), timeout=3) as client:
        for at, reply in cuts(places, refusal):
            server.requests.clear()
            server.answer("POST", "/servers/", reply)

            with pytest.raises(OutcomeUnknownError if at < head else error):
                # An unknown outcome makes its name unusable, so each create has a new name.
                await client.servers.create(**{**SPEC, "name": f"web-{at}"})

            assert len(server.requests_to("POST")) == 1, at


async def test_a_create_limited_for_now_is_sent_again_where_its_status_came(server, places):
    """A 429 says that nothing was created only if its head is whole."""
    limited = json(429, {"detail": "Slow down."}, {"Retry-After": "0"})
    head = limited.data.index(b"\r\n\r\n") + 4
    api = FakeAPI(server)

    async with client_over(server, VirtualClock(), timeout=3) as client:
        for at, reply in cuts(places, limited):
            server.requests.clear()
            api.servers.clear()
            # A whole response leaves the connection open: the next attempt would race with its end.
            server.answer("POST", "/servers/", [limited if at == len(limited.data) else reply, api.create])

            try:
                made = (await client.servers.create(**{**SPEC, "name": f"web-{at}"})).id
            except OutcomeUnknownError:
                made = None

            assert (made is None) == (at < head), at
            assert len(server.requests_to("POST")) == (1 if at < head else 2), at


async def test_a_reboot_that_no_poll_proves_is_unknown_and_not_sent_again(server, places):
    server.answer("GET", SERVER, DETAIL)
    response = action("rebooting")

    async with client_over(server, VirtualClock(), timeout=3) as client:
        await client.servers.get(ID)
        for at, reply in cuts(places, response):
            server.requests.clear()
            server.answer("POST", f"{SERVER}reboot/", reply)

            if at < len(response.data):
                with pytest.raises(OutcomeUnknownError):
                    await client.servers.reboot(ID)
            else:
                await client.servers.reboot(ID)

            assert len(server.requests_to("POST")) == 1, at
