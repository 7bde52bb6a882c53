"""The live page in a real browser."""

from __future__ import annotations

import contextlib
import struct

import httpx
import pytest

from selenium.webdriver.support.wait import WebDriverWait

from tests.helpers import ROOT
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


SPEC = {"name": "batch-01", "plan_id": 1, "os_id": 5, "location": "us-west"}
HOSTILE = "/<script>document.title='bad'</script>\"'><img src=x onerror=\"document.title='bad'\">/"


def rows(browser, section):
    """Return the texts of the rows of that section's table; in one go, as the page may change between two."""
    return browser.driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(row => [...row.cells].map(cell => cell.innerText))",
        f"#{section} tbody tr",
    )


def wait_until(browser, condition):
    """Return once *condition* holds; the page asks each second."""
    WebDriverWait(browser.driver, 20, poll_frequency=0.05).until(lambda _: condition())


def ask(api, method, path, **options):
    """Ask, whatever comes of it."""
    with contextlib.suppress(httpx.TransportError):
        api.request(method, path, **options)


class TestOpenPage:
    def test_it_follows_a_status(self, browser, sandbox, api, page_url):
        """From created to active, without being loaded anew."""
        api.post("/servers/", json=SPEC)
        browser.open(page_url)
        browser.run("window.marked = true")
        before = rows(browser, "servers")[0]

        sandbox.advance(300)
        wait_until(browser, lambda: "active" in rows(browser, "servers")[0][2])

        assert (before[1], before[2].strip("●\n")) == ("batch-01", "provisioning")
        assert rows(browser, "servers")[0][1] == "batch-01"
        assert browser.run("return window.marked")
        assert browser.told() == []

    def test_it_shows_a_fault_that_strikes(self, browser, sandbox, api, page_url):
        """Among those that are on, those that struck, and with the request."""
        browser.open(page_url)

        with sandbox.faults.inject(Fault.drop(method="POST")):
            ask(api, "POST", "/servers/12345/stop/")
            wait_until(browser, lambda: rows(browser, "faults")[0][0].startswith("drop"))

            assert rows(browser, "faults") == [["drop(after_commit=False, method='POST')", "1", "1"]]
            assert [row[1:] for row in rows(browser, "strikes")] == [
                ["drop(after_commit=False, method='POST')", "POST /servers/12345/stop/"]
            ]
            assert rows(browser, "requests")[0][1:3] == ["POST", "/servers/12345/stop/"]
            assert "no response" in rows(browser, "requests")[0][3]

    def test_what_is_selected_stays_so_while_others_change(self, browser, sandbox, page_url):
        """A section that has not changed is left alone."""
        browser.open(page_url)
        browser.run("getSelection().selectAllChildren(document.querySelector('#servers caption'))")
        before = browser.run("return document.querySelector('#summary').innerText")

        sandbox.advance(7)
        wait_until(browser, lambda: browser.run("return document.querySelector('#summary').innerText") != before)

        assert browser.run("return getSelection().toString()") == "Servers: 8"

    def test_it_says_when_the_sandbox_is_gone(self, browser):
        """And that it is back."""
        sandbox = Sandbox(servers=1)
        with sandbox.serve() as base_url:
            port = httpx.URL(base_url).port
            browser.open(f"http://127.0.0.1:{port}/__sandbox__/")
        lost = "return document.getElementById('lost').innerText"
        wait_until(browser, lambda: browser.run(lost))

        assert browser.run(lost).startswith("The sandbox does not answer")
        assert rows(browser, "servers")[0][0] == "12345"
        with sandbox.serve(port):
            wait_until(browser, lambda: browser.run("return document.getElementById('lost').hidden"))

    def test_it_can_be_read_without_scripts(self, browser, page_url):
        """And is then loaded anew from time to time."""
        browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
        try:
            browser.open(page_url)
            text = browser.text()
        finally:
            browser.cdp("Emulation.setScriptExecutionDisabled", value=False)

        assert "Servers: 8" in text
        assert "web-server-01" in text


class TestHostileTexts:
    def test_nothing_in_a_request_becomes_a_part_of_the_page(self, browser, sandbox, api, page_url):
        """In its path, its query, or a fault; when the page is loaded, and when it is refreshed."""
        api.get(HOSTILE, params={HOSTILE: HOSTILE})
        sandbox.faults.add(Fault.as_status(HOSTILE, server_id=HOSTILE))
        browser.open(page_url)

        api.get(HOSTILE)
        wait_until(browser, lambda: len(rows(browser, "requests")) == 2)

        assert HOSTILE in rows(browser, "requests")[0][2]
        assert HOSTILE.replace("'", "\\'") in rows(browser, "faults")[0][0]
        assert browser.driver.title == "VPS.org sandbox"
        assert browser.run("return [document.images.length, document.scripts.length]") == [0, 1]
        assert browser.told() == []

    def test_no_script_that_gets_in_would_run(self, browser, page_url):
        """The page's policy, in force."""
        browser.open(page_url)

        browser.run("document.getElementById('lost').innerHTML = arguments[0]", HOSTILE)
        wait_until(browser, lambda: any("Content Security Policy" in message for message in browser.told()))

        assert browser.run("return document.images.length") == 1
        assert browser.driver.title == "VPS.org sandbox"


class TestTraces:
    def test_it_asks_nothing_of_anybody_else(self, browser, sandbox, page_url):
        """Only of its own origin, and below its own path; of the API it asks nothing."""
        browser.open(page_url)
        asked = []

        def asked_twice():
            asked.extend(browser.asked_for())
            return asked.count(page_url) >= 2

        wait_until(browser, asked_twice)

        assert {url.removeprefix(page_url) for url in asked} == {"", "page.css", "page.js", "icon.svg"}
        assert sandbox.calls == []


def contents(sandbox, api):
    """Let things happen that are worth a poll."""
    sandbox.add_account("vps_second")
    sandbox.faults.add(
        Fault.drop(after_commit=True, path="^/servers/$", every=2),
        Fault.status(503, path="/start/", times=2),
        Fault.end_in("suspended", server_id=12350, times=1),
    )
    for number in (1, 2):
        ask(api, "POST", "/servers/", json={**SPEC, "name": f"batch-{number:02}"})
    ask(api, "POST", "/servers/12346/stop/")
    ask(api, "POST", "/servers/12350/reboot/")
    sandbox.advance(70)
    ask(api, "POST", "/servers/12345/reboot/")
    ask(api, "POST", "/servers/12347/stop/")
    ask(api, "POST", "/servers/12346/start/")
    ask(api, "POST", "/servers/", json={**SPEC, "location": "mars"})
    headers = {"Authorization": "Bearer vps_second"}
    ask(api, "POST", "/servers/", json={**SPEC, "name": "elsewhere-01", "location": "eu-west"}, headers=headers)
    sandbox.advance(4)
    ask(api, "GET", "/servers/12351/")
    ask(api, "GET", "/servers/", params={"status": "active", "page": "1"})
    ask(api, "GET", "/servers/99/")
    ask(api, "GET", "/servers/", headers={"Authorization": "Bearer nobody"})
    ask(api, "DELETE", "/servers/12349/")


class TestLook:
    @pytest.mark.parametrize(("scheme", "darker"), [("light", False), ("dark", True)])
    def test_it_is_light_or_dark_as_one_likes(self, browser, page_url, scheme, darker):
        browser.like(scheme)
        browser.open(page_url)

        ground, text = browser.run(
            "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
        )

        assert (brightness(ground) < brightness(text)) is darker

    @pytest.mark.parametrize("width", [800, 1024, 1440])
    def test_it_needs_no_scrolling_sideways(self, browser, sandbox, api, page_url, width):
        """Neither the page nor a table in it, however long a path is."""
        contents(sandbox, api)
        ask(api, "GET", f"/{'a' * 300}/")
        browser.size(width, 900)
        browser.open(page_url)

        too_wide = browser.run(
            "return [...document.querySelectorAll('html, section')]"
            ".filter(part => part.scrollWidth > part.clientWidth).map(part => part.id)"
        )

        assert too_wide == []

    def test_a_picture_of_it(self, browser, sandbox, api, page_url, request):
        """Kept in the docs with `--keep-picture`."""
        contents(sandbox, api)
        browser.like("light")
        browser.size(1440, 780)
        browser.cdp("Emulation.setScrollbarsHidden", hidden=True)
        browser.open(page_url)

        picture = browser.picture()

        kept = ROOT / "docs" / "sandbox.png"
        if request.config.option.keep_picture:
            kept.write_bytes(picture)
        assert size_of(picture) == size_of(kept.read_bytes()) == (1440, 780)
        assert kept.stat().st_size <= 150_000


def brightness(color):
    """Return the sum of what is between the brackets of `rgb(1, 2, 3)`."""
    return sum(int(part) for part in color.partition("(")[2].rstrip(")").split(","))


def size_of(picture):
    """Return the width and height of a PNG."""
    assert picture.startswith(b"\x89PNG")
    return struct.unpack(">II", picture[16:24])
