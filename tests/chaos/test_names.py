"""Tests names that do not resolve, for good or for a while."""

from __future__ import annotations

import socket

import pytest

from tests.conftest import BACKENDS
from tests.helpers_api import QUICK, SPEC, FakeAPI
from tests.rawserver import RawServer
from vpsorg_async import APIConnectionError, Client, PollPolicy, WaitFailedError


pytestmark = pytest.mark.anyio

POLL = PollPolicy(failures=3, outage=0)
CALLS = {
    "list": lambda client: client.servers.list().all(),
    "reboot": lambda client: client.servers.reboot(7),
    "wait": lambda client: client.servers.wait_until(7, status="active", poll=POLL),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_name_that_does_not_exist_is_retried_and_then_an_error_that_was_not_sent(name):
    events = []

    async with Client("vps_test", base_url="https://x.invalid", retry=QUICK, on_event=events.append) as client:
        with pytest.raises((APIConnectionError, WaitFailedError)) as caught:
            await CALLS[name](client)

    error = caught.value.__cause__ if name == "wait" else caught.value
    assert isinstance(error, APIConnectionError)
    assert not error.sent
    failed = [event for event in events if event.name in ("call.attempt", "poll.ended")]
    assert len(failed) == (POLL.failures if name == "wait" else QUICK.attempts - 1)


# uvloop calls the C library directly, where the test cannot replace the function.
@pytest.mark.parametrize("anyio_backend", [BACKENDS["asyncio"], BACKENDS["trio"]], ids=["asyncio", "trio"])
async def test_a_name_that_resolves_after_a_while_is_reached(monkeypatch):
    """The create was not sent before. It is then sent once."""
    real, failures = socket.getaddrinfo, iter(range(3))

    def resolve(host, *arguments, **options):
        if host in ("api.invalid", b"api.invalid"):
            if next(failures, None) is not None:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            host = "127.0.0.1"
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with RawServer() as server:
        api = FakeAPI(server)
        base_url = server.base_url.replace("127.0.0.1", "api.invalid")

        async with Client("vps_test", base_url=base_url, allow_http=True, retry=QUICK) as client:
            made = await client.servers.create(**SPEC)

        assert api.created == [made.id]
        assert next(failures, None) is None
