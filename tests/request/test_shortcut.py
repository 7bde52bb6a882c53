"""The short way through httpx rests on private names: a test says which one moved."""

from __future__ import annotations

import httpx
import pytest

from tests.helpers import detail
from tests.rawserver import RawServer, json
from vpsorg_async import Client
from vpsorg_async._request.httpx_client import HTTPClient
from vpsorg_async._request.shortcut import ShortcutClient, missing_names


def test_no_private_name_of_httpx_has_moved():
    """Where this fails, the missing names are to be found anew in httpx, or the short way given up."""
    assert missing_names() == []
    assert ShortcutClient.takes_shortcut


@pytest.mark.parametrize("name", ["_send_handling_auth", "_transport_for_url"])
def test_one_that_is_missing_is_named(name, monkeypatch):
    monkeypatch.delattr(httpx.AsyncClient, name)

    assert missing_names() == [f"AsyncClient.{name}"]


@pytest.mark.anyio
@pytest.mark.parametrize("short", [True, False])
async def test_only_the_short_way_leaves_out_what_httpx_does_besides(short, monkeypatch):
    """Such as looking for cookies."""
    walked, original = [], HTTPClient.cookies

    def cookies(self):
        walked.append("cookies")
        return original.fget(self)

    monkeypatch.setattr(HTTPClient, "cookies", property(cookies))
    monkeypatch.setattr(ShortcutClient, "takes_shortcut", short)
    with RawServer() as server:
        server.answer("GET", "/servers/7/", json(200, detail()))
        async with Client("vps_test", base_url=server.base_url) as client:
            found = await client.servers.get(7)

    assert found.id == 7
    assert bool(walked) is not short
