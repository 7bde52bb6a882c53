"""The apps in Starlette and Litestar, served by uvicorn on a real socket."""

from __future__ import annotations

import httpx
import pytest

from tests.integrations.browsers import served
from tests.recipes.running import reboots, recipe
from vpsorg_async.sandbox import Sandbox


APPS = ["starlette_app", "litestar_app"]


@pytest.fixture
def sandbox(monkeypatch):
    sandbox = Sandbox(servers=2)
    with sandbox.serve() as base_url:
        monkeypatch.setenv("VPS_API_URL", base_url)
        monkeypatch.setenv("VPS_API_TOKEN", "vps_sandbox")
        yield sandbox


@pytest.mark.parametrize("name", APPS)
def test_it_lists_and_reboots_with_one_client(name, sandbox):
    first, second = (str(server["id"]) for server in sandbox.servers)

    with served(recipe(name).app) as url, httpx.Client(base_url=url) as browser:
        listed = browser.get("/servers")
        answers = [browser.post(f"/servers/{server_id}/reboot") for server_id in (first, second)]

    assert [str(server["id"]) for server in listed.json()] == [first, second]
    assert "password" not in listed.text
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["server"]["status"] == "rebooting"
    assert reboots(sandbox) == [first, second]


@pytest.mark.parametrize("name", APPS)
def test_an_error_is_answered_without_the_words_of_the_api(name, sandbox):
    first = sandbox.servers[0]["id"]

    with served(recipe(name).app) as url, httpx.Client(base_url=url) as browser:
        missing = browser.post("/servers/999/reboot")
        browser.post(f"/servers/{first}/reboot")
        conflict = browser.post(f"/servers/{first}/reboot")

    assert (missing.status_code, missing.json()["detail"]) == (404, "There is no such server.")
    assert (conflict.status_code, conflict.json()["detail"]) == (409, "The status of the server does not allow this.")


def test_starlette_sends_changes_to_the_browser(sandbox):
    with served(recipe("starlette_app").app) as url, httpx.stream("GET", f"{url}/events", timeout=30) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("event:"))
        appeared = [next(lines) for _ in sandbox.servers]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert appeared == ["event: appeared"] * 2
