"""What structlog prints and Sentry is sent: the events and the error, and no secret."""

from __future__ import annotations

import http.server
import json
import threading
import zlib

import pytest

from tests.processes import started
from tests.recipes.running import RECIPES
from vpsorg_async.sandbox import Sandbox


class Sentry(http.server.BaseHTTPRequestHandler):
    """Takes what is sent to Sentry."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = zlib.decompress(body, wbits=31)
        self.server.taken.append(body.decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def sentry():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sentry) as server:
        server.taken = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def run(sentry, server_id, base_url):
    dsn = f"http://public@127.0.0.1:{sentry.server_address[1]}/1"
    program = [str(RECIPES / "logs_and_errors.py"), str(server_id)]
    with started(*program, base_url=base_url, cwd=RECIPES, SENTRY_DSN=dsn, VPS_API_TOKEN="vps_very_secret") as process:
        output, errors = process.communicate(timeout=120)
    return output, errors, process.returncode


def test_each_event_is_a_line_of_json(sentry):
    sandbox = Sandbox(token="vps_very_secret", servers=1)
    with sandbox.serve(speed=20) as base_url:
        output, errors, status = run(sentry, sandbox.servers[0]["id"], base_url)

    lines = [json.loads(line) for line in output.splitlines()]
    assert (status, errors, sentry.taken) == (0, "", [])
    assert [line["event"] for line in lines if line["event"].startswith("wait.")][:1] == ["wait.began"]
    ended = next(line for line in lines if line["event"] == "call.ended")
    assert (ended["method"], ended["template"], ended["status"]) == ("POST", "/servers/{id}/reboot/", 200)
    assert lines[-1]["event"] == "wait.ended"


def test_sentry_gets_the_error_and_what_was_before_it_and_no_secret(sentry):
    with Sandbox(token="vps_very_secret").serve() as base_url:
        output, _, status = run(sentry, 999, base_url)

    sent = "".join(sentry.taken)
    assert status == 1
    assert "NotFoundError" in sent
    assert '"category":"vpsorg_async"' in sent
    assert "very_secret" not in sent + output
    assert '"vars":' not in sent
