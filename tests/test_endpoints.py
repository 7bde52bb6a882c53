"""The endpoints as data: what may be done with each call whose response is lost."""

from __future__ import annotations

import json

import httpx
import pytest
import respx

from tests.helpers import ROOT
from vpsorg_async import Client, ServerSpec
from vpsorg_async import _endpoints as endpoints
from vpsorg_async._request.call import RetrySafety


BASE = "https://admin.vps.org/api/v1"


def documented(name):
    return json.loads((ROOT / "tests" / "contract" / f"{name}.json").read_text())


def other_action(message, status):
    answer = documented("action")
    return {**answer, "message": message, "server": {**answer["server"], "status": status}}


@pytest.fixture
def router():
    with respx.mock(base_url=BASE, assert_all_called=True) as mocked:
        yield mocked


@pytest.fixture
def client(router):
    return Client("vps_secret", transport=httpx.MockTransport(router.async_handler), user_agent="app/1.0")


def body_of(route):
    """Return what the route was sent, after what each request must have was checked."""
    [call] = route.calls
    request = call.request
    assert request.headers["Authorization"] == "Bearer vps_secret"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"].startswith("app/1.0 vpsorg-async/")
    assert "Cookie" not in request.headers
    return json.loads(request.content) if request.content else None


class TestRepeatClasses:
    def test_each_endpoint_has_the_class_that_its_effect_allows(self):
        spec = ServerSpec(name="a", plan_id=1, os_id=1, location="x")
        calls = {
            "list": endpoints.list_page({}),
            "create": endpoints.create(spec),
            "get": endpoints.get(7),
            "replace": endpoints.replace(7, name="a", hostname=None, backups_enabled=False),
            "update": endpoints.update(7, name="a", hostname=None, backups_enabled=False),
            "delete": endpoints.delete(7),
            **{name: endpoints.command(7, name) for name in ("start", "stop", "reboot")},
        }

        assert {name: call.retry_safety for name, call in calls.items()} == {
            "list": RetrySafety.SAFE,
            "create": RetrySafety.RECONCILE,
            "get": RetrySafety.SAFE,
            "replace": RetrySafety.IDEMPOTENT,
            "update": RetrySafety.IDEMPOTENT,
            "delete": RetrySafety.IDEMPOTENT,
            "start": RetrySafety.STATE_CHECKED,
            "stop": RetrySafety.STATE_CHECKED,
            "reboot": RetrySafety.RECONCILE,
        }
