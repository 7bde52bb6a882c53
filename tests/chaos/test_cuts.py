"""Every answer of the nine endpoints, cut at every byte of its status line, its headers and its body.

The connection ends by a close and by a reset, by turns. What is cut is tried again, or looked for; nothing is made or
rebooted twice. That the request of a create may be cut at any byte is shown by `tests/test_commands_create_cuts.py`.
"""

from __future__ import annotations

import itertools
import json as jsonlib
import re

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from tests.helpers import ROOT
from tests.helpers_api import SPEC, FakeAPI, VirtualClock, client_over
from tests.rawserver import Bytes, RawServer, chunked, cut, json
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
    answer = documented("action")
    return json(200, {**answer, "server": {**answer["server"], "status": status}})


@attrs.frozen
class Endpoint:
    """How one is asked, its whole answer, what follows when that is cut, and how often it is asked then."""

    ask: Callable[[Client], Awaitable[Any]]
    method: str
    path: str
    answer: Bytes
    after: tuple[Bytes, ...]
    shows: Callable[[Any], object]
    # What a look at the server shows, for whom an answer alone does not settle it.
    look: Bytes = DETAIL
    times: int = 2


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
        look=json(200, {**documented("detail"), "status": "stopping"}),
    ),
    "reboot": Endpoint(
        lambda client: client.servers.reboot(ID),
        "POST",
        f"{SERVER}reboot/",
        action("rebooting"),
        (action("rebooting"),),
        lambda rebooted: rebooted.server.status == "rebooting",
        look=json(200, {**documented("detail"), "status": "rebooting"}),
        times=1,
    ),
}


@pytest.fixture
def server():
    with RawServer() as running:
        yield running


def cuts(places: Any, answer: Bytes) -> Any:
    """Yield where to cut *answer* and the answer cut there; the ends of its lines are always among them."""
    length = len(answer.data)
    ends = [found.end() for found in re.finditer(rb"\r\n", answer.data)]
    for at, reset in zip(places(length, *ends, length - 1), itertools.cycle([False, True]), strict=False):
        # The whole answer and then a reset is for the kernel to decide, and not for the client.
        yield at, cut(answer, at, reset=reset and at < length)


@pytest.mark.parametrize("name", REPEATED)
async def test_the_call_ends_as_if_nothing_had_been_cut(name, server, places):
    """Asked again, or looked for in the case of a reboot: within the policy, and one good answer comes out."""
    endpoint = REPEATED[name]
    server.answer("GET", SERVER, endpoint.look)

    async with Client("vps_test", base_url=server.base_url, retry=AT_ONCE) as client:
        for at, reply in cuts(places, endpoint.answer):
            server.requests.clear()
            server.answer(endpoint.method, endpoint.path, [reply, *endpoint.after])

            shown = await endpoint.ask(client)

            assert endpoint.shows(shown), at
            asked = 1 if at == len(endpoint.answer.data) else endpoint.times
            assert len(server.requests_to(endpoint.method, endpoint.path)) == asked, at
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
    """Before the end of the head nobody can tell it from the answer to one that was made; behind it the status counts.

    It is not sent again in either case.
    """
    head = refusal.data.index(b"\r\n\r\n") + 4
    FakeAPI(server)

    async with client_over(server, VirtualClock(), timeout=3) as client:
        for at, reply in cuts(places, refusal):
            server.requests.clear()
            server.answer("POST", "/servers/", reply)

            with pytest.raises(OutcomeUnknownError if at < head else error):
                # A name that is in doubt stays so.
                await client.servers.create(**{**SPEC, "name": f"web-{at}"})

            assert len(server.requests_to("POST")) == 1, at


async def test_a_create_limited_for_now_is_sent_again_where_its_status_came(server, places):
    """A 429 whose head came whole says that nothing was made; one that was cut before says nothing."""
    limited = json(429, {"detail": "Slow down."}, {"Retry-After": "0"})
    head = limited.data.index(b"\r\n\r\n") + 4
    api = FakeAPI(server)

    async with client_over(server, VirtualClock(), timeout=3) as client:
        for at, reply in cuts(places, limited):
            server.requests.clear()
            api.servers.clear()
            # Whole, it leaves the connection open: the next try would race with its end.
            server.answer("POST", "/servers/", [limited if at == len(limited.data) else reply, api.create])

            try:
                made = (await client.servers.create(**{**SPEC, "name": f"web-{at}"})).id
            except OutcomeUnknownError:
                made = None

            assert (made is None) == (at < head), at
            assert len(server.requests_to("POST")) == (1 if at < head else 2), at


async def test_a_reboot_that_no_look_proves_is_unknown_and_not_sent_again(server, places):
    server.answer("GET", SERVER, DETAIL)
    answer = action("rebooting")

    async with client_over(server, VirtualClock(), timeout=3) as client:
        await client.servers.get(ID)
        for at, reply in cuts(places, answer):
            server.requests.clear()
            server.answer("POST", f"{SERVER}reboot/", reply)

            if at < len(answer.data):
                with pytest.raises(OutcomeUnknownError):
                    await client.servers.reboot(ID)
            else:
                await client.servers.reboot(ID)

            assert len(server.requests_to("POST")) == 1, at
