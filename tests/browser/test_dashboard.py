"""The dashboard of examples/dashboard, in a real browser and over its own socket."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import anyio
import httpx
import pytest

from selenium.webdriver.support.wait import WebDriverWait

from examples.dashboard.app import make_app
from tests.browser.test_page import brightness, size_of
from tests.helpers import ROOT
from tests.integrations.browsers import listening, served
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox.faults import Fault


TOKEN = "vps_a_token_that_no_browser_sees"
STATIC = ROOT / "examples" / "dashboard" / "static"


@pytest.fixture
def sandbox():
    """Return a sandbox with eight servers, whose time stands still."""
    sandbox = Sandbox(servers=8, token=TOKEN)
    sandbox.freeze()
    return sandbox


@pytest.fixture
def dashboard(base_url):
    """Serve the dashboard; give its URL."""
    with served(make_app(token=TOKEN, base_url=base_url)) as url:
        yield url


def wait_until(browser, condition):
    """Return once *condition* holds."""
    WebDriverWait(browser.driver, 20, poll_frequency=0.05).until(lambda _: condition())


def open_page(browser, url, count=8):
    """Open the dashboard, and wait until it shows that many servers."""
    browser.open(url)
    wait_until(browser, lambda: len(statuses(browser)) == count)


def statuses(browser):
    """Return the statuses that the table shows, by id."""
    return browser.run(
        "return Object.fromEntries([...document.querySelectorAll('#servers tr:not(.unconfirmed)')]"
        ".map(row => [row.dataset.id, row.querySelector('.badge').innerText]))"
    )


def click(browser, selector):
    browser.run("document.querySelector(arguments[0]).click()", selector)


def text_of(browser, selector):
    return browser.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)


def form_is_there(browser):
    """Return whether the form that creates servers is loaded, and htmx knows it."""
    return browser.run("return 'htmx-internal-data' in (document.querySelector('#new form') ?? {})")


def run_values(browser):
    """Return what the newest run's bar says: value, most, and whether it is over."""
    return browser.run(
        "const run = document.querySelector('.run'), bar = run?.querySelector('progress');"
        "return run && [bar.value, bar.max, run.dataset.over]"
    )


class TestCommands:
    def test_a_reboot_is_seen_from_its_begin_to_its_end(self, browser, sandbox, dashboard):
        """In a second browser too, and after a reload."""
        open_page(browser, dashboard)
        first = browser.driver.current_window_handle
        browser.driver.switch_to.new_window("window")
        try:
            open_page(browser, dashboard)
            second = browser.driver.current_window_handle
            browser.driver.switch_to.window(first)

            click(browser, "#servers button[value='reboot 12345']")
            for window in (first, second):
                browser.driver.switch_to.window(window)
                wait_until(browser, lambda: statuses(browser)["12345"] == "rebooting")
                wait_until(browser, lambda: run_values(browser) == [0, 1, "false"])
            open_page(browser, dashboard)
            assert run_values(browser) == [0, 1, "false"]
            sandbox.advance(600)

            for window in (first, second):
                browser.driver.switch_to.window(window)
                wait_until(browser, lambda: statuses(browser)["12345"] == "active")
                wait_until(browser, lambda: run_values(browser) == [1, 1, "true"])
        finally:
            browser.driver.switch_to.window(second)
            browser.driver.close()
            browser.driver.switch_to.window(first)

    def test_fifty_servers_are_selected_and_stopped(self, browser):
        """The bar moves, and goes on while the page is loaded again."""
        sandbox = Sandbox(servers=50, token=TOKEN)
        with sandbox.serve(speed=20) as url, served(make_app(token=TOKEN, base_url=url)) as dashboard:
            open_page(browser, dashboard, 50)
            active = sum(status == "active" for status in statuses(browser).values())
            click(browser, "#all")
            assert text_of(browser, "#selected") == "50 selected"

            click(browser, ".bar button[value='stop']")
            wait_until(browser, lambda: (run_values(browser) or [0])[0] > 0)
            under_way = run_values(browser)
            browser.driver.refresh()
            wait_until(browser, lambda: run_values(browser) == [50, 50, "true"])

            assert under_way[1:] == [50, "false"]
            wait_until(browser, lambda: set(statuses(browser).values()) == {"stopped"})
            assert f"{active} done" in text_of(browser, ".run")

    def test_a_refusal_says_why(self, browser, sandbox, dashboard):
        """What the API says of the server, and what the page says of its form."""
        open_page(browser, dashboard)

        click(browser, "#servers tr[data-status='active'] input")
        click(browser, ".bar button[value='start']")
        wait_until(browser, lambda: "already running" in text_of(browser, ".run"))

        assert text_of(browser, ".run li") == "Server 12345: Server is already running."
        assert "1 failed" in text_of(browser, ".run")

    def test_a_server_is_created_from_choices_with_prices(self, browser, sandbox, dashboard):
        """And only with the plans of its location; then deleted, after a question."""
        open_page(browser, dashboard)
        click(browser, "#new summary")
        wait_until(browser, lambda: form_is_there(browser))
        plans = browser.run("return [...document.querySelector('#plan').options].map(plan => plan.text)")
        assert plans[0] == "Standard VPS: 2 vCPU, 4 GB memory, 80 GB disk (20.00 a month)"
        browser.run(
            "const form = document.querySelector('#new form'); form.elements.name.value = 'made-here';"
            "form.elements.location.value = 'ap-south'; form.elements.os_id.value = '6';"
            "form.elements.location.dispatchEvent(new Event('change', {bubbles: true}))"
        )
        wait_until(browser, lambda: browser.run("return document.querySelector('#plan option[value=\"5\"]').disabled"))
        click(browser, "#new form button")
        wait_until(browser, lambda: "made-here" in text_of(browser, "#servers"))
        made = next(server for server in sandbox.servers if server["name"] == "made-here")
        sandbox.advance(600)
        wait_until(browser, lambda: statuses(browser)[str(made["id"])] == "active")

        browser.run("document.querySelector(arguments[0]).click()", f"button[value='delete {made['id']}']")
        assert browser.driver.switch_to.alert.text == "Delete made-here for ever?"
        browser.driver.switch_to.alert.accept()
        wait_until(browser, lambda: "made-here" not in text_of(browser, "#servers"))

        assert (made["location"], len(sandbox.servers)) == ("ap-south", 8)

    def test_a_name_that_cannot_be_is_refused_in_a_sentence(self, browser, sandbox, dashboard):
        open_page(browser, dashboard)
        wait_until(browser, lambda: form_is_there(browser))

        browser.run(
            "const form = document.querySelector('#new form'); form.noValidate = true;"
            "form.elements.name.value = 'no spaces'; form.requestSubmit()"
        )
        wait_until(browser, lambda: text_of(browser, "#refused"))

        assert "letters, digits and hyphens" in text_of(browser, "#refused")
        assert len(sandbox.servers) == 8


class TestRestart:
    def test_a_backend_that_was_ended_and_started_again_shows_what_is_true(self, browser, sandbox, base_url):
        """A server that went meanwhile is gone from the page; work that nobody follows any more is said to be so."""
        with served(make_app(token=TOKEN, base_url=base_url)) as url:
            port = httpx.URL(url).port
            open_page(browser, url)
            click(browser, "#servers button[value='reboot 12345']")
            wait_until(browser, lambda: statuses(browser)["12345"] == "rebooting")
        wait_until(browser, lambda: "lost" in text_of(browser, "#lost"))
        sandbox.advance(600)
        with httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {TOKEN}"}) as api:
            api.delete("/servers/12346/").raise_for_status()

        with served(make_app(token=TOKEN, base_url=base_url), port):
            wait_until(browser, lambda: len(statuses(browser)) == 7)
            wait_until(browser, lambda: "was restarted" in text_of(browser, "#runs"))

            assert statuses(browser)["12345"] == "active"
            assert "12346" not in statuses(browser)
            assert text_of(browser, "#lost") == ""

    def test_it_says_that_the_api_does_not_accept_the_token(self, browser, base_url):
        with served(make_app(token="vps_another_token", base_url=base_url)) as url:
            browser.open(url)
            wait_until(browser, lambda: "does not accept the credentials" in text_of(browser, "#lost"))


class TestSafety:
    def test_the_token_is_in_nothing_that_the_browser_receives(self, browser, sandbox, dashboard):
        """Neither in a page, a file, an answer, an error, nor in the stream."""
        open_page(browser, dashboard)
        click(browser, "#servers button[value='reboot 12345']")
        wait_until(browser, lambda: run_values(browser))
        texts = [browser.text()]
        with httpx.Client(base_url=dashboard, headers={"Origin": dashboard, "HX-Request": "true"}) as client:
            for path in ("/", "/create", "/plans", "/runs", "/openapi.json", "/docs", "/nowhere"):
                texts.append(str(client.get(path).headers) + client.get(path).text)
            texts += [client.get(f"/static/{path.name}").text for path in STATIC.iterdir()]
            sandbox.faults.add(Fault.status(500, body={"detail": f"bad {TOKEN}"}))
            texts += [client.post("/runs", content=f"one=start {each}").text for each in ("12345", "../7")]
        sandbox.faults.clear()
        with httpx.stream("GET", f"{dashboard}/events") as stream:
            texts.append(next(stream.iter_text()) + str(stream.headers))

        assert [text for text in texts if TOKEN in text] == []
        assert "event: " in texts[-1]

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"HX-Request": "true"},
            {"Origin": "https://evil.example", "HX-Request": "true"},
            {"Origin": "null", "HX-Request": "true"},
            {"Origin": "own"},
        ],
    )
    def test_a_change_that_another_site_asks_for_is_refused(self, sandbox, dashboard, headers):
        """CSRF: the API hears nothing of it."""
        headers = {name: dashboard if value == "own" else value for name, value in headers.items()}

        for path in ("/runs", "/create"):
            response = httpx.post(f"{dashboard}{path}", content="one=delete 12345", headers=headers)
            assert (response.status_code, response.json()["detail"]) == (
                403,
                "The dashboard takes changes from its own page only.",
            )

        assert sandbox.calls == []

    def test_a_form_of_another_site_changes_nothing(self, browser, sandbox, dashboard):
        """In the browser: a page of another origin posts a form."""
        browser.open(f"data:text/html,<form method=post action='{dashboard}/runs'><input name=one value='stop 12345'>")
        browser.run("document.forms[0].submit()")
        wait_until(browser, lambda: "from its own page only" in browser.text())

        assert sandbox.calls == []

    def test_a_foreign_name_of_this_computer_is_refused(self, dashboard):
        """DNS rebinding."""
        assert httpx.get(dashboard, headers={"Host": "evil.example"}).status_code == 400

    def test_nothing_in_a_server_becomes_a_part_of_the_page(self, browser, sandbox, dashboard):
        """A status of markup stays text; the page asks nothing of anybody else."""
        sandbox.faults.add(Fault.as_status("<img src=x onerror=alert(1)>", server_id=12345))
        open_page(browser, dashboard)

        assert statuses(browser)["12345"].startswith("<img")
        assert browser.run("return document.images.length") == 0
        assert {httpx.URL(url).host for url in browser.asked_for() if url.startswith("http")} == {"127.0.0.1"}
        assert browser.told() == []


class TestCosts:
    def test_two_hundred_browsers_cost_what_one_costs(self, sandbox, dashboard):
        """Once they are open. While they open, the lists that are on their way serve all who have come by then."""
        alone = anyio.run(lists_for, sandbox, dashboard, 1)
        together = anyio.run(lists_for, sandbox, dashboard, 200)

        assert alone[1] >= 1
        assert together[1] <= alone[1] + 1
        assert together[0] <= 100


async def lists_for(sandbox, url, browsers):
    """Let so many browsers open the page and its events; count the calls until all know all servers, and 4 s more."""
    opened = anyio.Event()
    ready = []
    before = len(sandbox.calls)

    async def browse():
        (await client.get(url)).raise_for_status()
        async with listening(url) as events:
            await events.take(8)
            ready.append(None)
            if len(ready) == browsers:
                opened.set()
            await anyio.sleep_forever()

    async with httpx.AsyncClient(timeout=20) as client, anyio.create_task_group() as group:
        for _ in range(browsers):
            group.start_soon(browse)
        with anyio.fail_after(20):
            await opened.wait()
        at_first = len(sandbox.calls) - before
        await anyio.sleep(4)
        group.cancel_scope.cancel()
    return at_first, len(sandbox.calls) - before - at_first


class TestFiles:
    def test_htmx_is_the_file_of_the_locked_package(self):
        lock = json.loads((STATIC / "htmx.lock.json").read_text())

        assert hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest() == lock["sha256"]
        assert f'version:"{lock["version"]}"' in (STATIC / "htmx.min.js").read_text()
        assert len(base64.b64decode(lock["integrity"].removeprefix("sha512-"))) == 64

    def test_the_page_names_no_other_site(self):
        own = [path for path in (ROOT / "examples" / "dashboard").rglob("*") if path.suffix in {".py", ".css", ".js"}]

        named = re.findall(r"https?://[\w.]+", "".join(path.read_text() for path in own if "htmx" not in path.name))

        assert set(named) == {"http://127.0.0.1"}


class TestLook:
    @pytest.mark.parametrize(("scheme", "darker"), [("light", False), ("dark", True)])
    def test_it_is_light_or_dark_as_one_likes(self, browser, dashboard, scheme, darker):
        browser.like(scheme)
        browser.open(dashboard)

        ground, text = browser.run(
            "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
        )

        assert (brightness(ground) < brightness(text)) is darker

    @pytest.mark.parametrize("width", [360, 800, 1440])
    def test_it_needs_no_scrolling_sideways(self, browser, dashboard, width):
        browser.size(width, 800)
        open_page(browser, dashboard)
        click(browser, "#new summary")
        wait_until(browser, lambda: form_is_there(browser))

        assert browser.run("const page = document.documentElement; return page.scrollWidth <= page.clientWidth")

    def test_a_picture_of_it(self, browser, sandbox, dashboard, request, tmp_path):
        """Kept in the docs with `--keep-picture`."""
        browser.like("light")
        browser.size(1100, 720)
        browser.cdp("Emulation.setScrollbarsHidden", hidden=True)
        open_page(browser, dashboard)
        for number in (12345, 12347, 12349):
            click(browser, f"#servers input[value='{number}']")
        click(browser, ".bar button[value='reboot']")
        wait_until(browser, lambda: "rebooting" in statuses(browser).values() and run_values(browser))

        picture = browser.picture()

        kept = ROOT / "docs" / "dashboard.png"
        if request.config.option.keep_picture:
            kept.write_bytes(picture)
        assert size_of(picture) == size_of(kept.read_bytes()) == (1100, 720)
        assert kept.stat().st_size <= 150_000
