"""A headless Chromium, and a sandbox that it polls. Needs Debian's `chromium` and `chromium-driver`."""

from __future__ import annotations

import base64
import json
import shutil

import httpx
import pytest

from selenium import webdriver

from tests.sandbox.conftest import AUTHORIZED
from vpsorg_async.sandbox import Sandbox


ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """A tab of the browser, on a page.

    Attributes:
        driver: the tab.
    """

    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        """Open *url*, all that was told before forgotten."""
        self.driver.get("about:blank")
        self.told(), self.asked_for()
        self.driver.get(url)

    def run(self, script, *arguments):
        """Return what *script* returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def text(self):
        """Return the page's markup as it is now; needs no script."""
        return self.driver.page_source

    def cdp(self, command, **parameters):
        """Give a command of the browser's own protocol; return what it answers."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def like(self, scheme):
        """Prefer `light` or `dark`."""
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def size(self, width, height):
        """Let the page be so large, in pixels."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self):
        """Return a PNG of the page."""
        return base64.b64decode(self.cdp("Page.captureScreenshot", format="png")["data"])

    def told(self):
        """Return what was written to the console since the last time: errors, violations of the page's policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked_for(self):
        """Return the URLs that were asked for since the last time."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]


def pytest_addoption(parser):
    parser.addoption(
        "--keep-picture", action="store_true", help="keep the picture of the live page as docs/sandbox.png"
    )


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """Give one Chromium for all tests, with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Named, so that Selenium polls for no other.
    service = webdriver.ChromeService(shutil.which("chromedriver") or "chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver):
    """Return a tab of it."""
    return Browser(driver)


@pytest.fixture
def sandbox():
    """Return a sandbox with eight servers, whose time stands still."""
    sandbox = Sandbox(servers=8)
    sandbox.freeze()
    return sandbox


@pytest.fixture
def base_url(sandbox):
    """Serve it; give the API's base URL."""
    with sandbox.serve() as base_url:
        yield base_url


@pytest.fixture
def api(base_url):
    """Give an httpx client of its API."""
    with httpx.Client(base_url=base_url, headers=AUTHORIZED) as client:
        yield client


@pytest.fixture
def page_url(base_url):
    """Return the page's URL."""
    return base_url.removesuffix("/api/v1") + "/__sandbox__/"
