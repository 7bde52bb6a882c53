"""A Django project, served by uvicorn on a real socket, and its view for WSGI under WSGI."""

from __future__ import annotations

import httpx
import pytest

from tests.integrations.browsers import served
from tests.recipes.running import reboots, recipe
from vpsorg_async.sandbox import Sandbox


@pytest.fixture(scope="module")
def module():
    # Django's settings are made once in a process.
    return recipe("django_app")


@pytest.fixture
def sandbox(monkeypatch):
    sandbox = Sandbox(servers=2)
    with sandbox.serve() as base_url:
        monkeypatch.setenv("VPS_API_URL", base_url)
        monkeypatch.setenv("VPS_API_TOKEN", "vps_sandbox")
        yield sandbox


@pytest.fixture
def browser(module, sandbox):
    with served(module.application) as url, httpx.Client(base_url=url) as browser:
        yield browser


def test_an_async_view_uses_the_client(browser, sandbox):
    listed = browser.get("/servers").json()["servers"]

    assert [server["id"] for server in listed] == [server["id"] for server in sandbox.servers]


def test_a_sync_view_uses_the_same_client(browser, sandbox):
    """Before and after an async view has bound it to its loop."""
    first, second = (server["id"] for server in sandbox.servers)

    answers = [
        browser.get(f"/servers/{first}/reboot"),
        browser.get("/servers"),
        browser.get(f"/servers/{second}/reboot"),
    ]

    assert [answer.status_code for answer in answers] == [202, 200, 202]
    assert reboots(sandbox) == [str(first), str(second)]


def test_an_error_is_answered_without_the_words_of_the_api(browser, caplog):
    answer = browser.get("/servers/999/reboot")

    assert (answer.status_code, answer.json()) == (404, {"detail": "The API did not do it."})
    assert "999" in caplog.text


def test_under_wsgi_each_request_has_its_own_client(module, sandbox):
    """Each has another event loop."""
    from django.core.wsgi import get_wsgi_application

    first = sandbox.servers[0]
    transport = httpx.WSGITransport(get_wsgi_application())
    with httpx.Client(transport=transport, base_url="http://localhost") as browser:
        answers = [browser.get(f"/servers/{first['id']}").json() for _ in range(2)]

    assert [answer["name"] for answer in answers] == [first["name"]] * 2
