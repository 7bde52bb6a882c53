"""A program that uses the client ends without a warning of any kind, on each backend, in every mode of debugging."""

from __future__ import annotations

import re
import ssl

import pytest

from tests.helpers import action, detail, page
from tests.processes import ran
from tests.rawserver import RawServer, certificates, drip, hang, json


SCRIPT = """
import ssl, sys
import anyio
from vpsorg_async import *

async def main(base_url, authority):
    context = ssl.create_default_context(cafile=authority) if authority else None
    options = {"retry": RetryPolicy(initial=0.001, maximum=0.002), "ssl_context": context}
    poll = PollPolicy(minimum=0.1, maximum=0.1)
    async with Client("vps_test", base_url=base_url, **options) as client:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(client.servers.get, number + 100)
        assert len(await client.servers.list()) == 2
        async for server in client.servers.list():
            break
        started = await client.servers.start(7)
        await client.servers.wait_until(7, status="active", poll=poll)
        for number in (1, 2):
            with anyio.move_on_after(0.05):
                await client.servers.get(number)
        try:
            await client.servers.get(1, timeout=0.05)
        except APITimeoutError:
            pass
        try:
            await client.servers.get(404)
        except NotFoundError as error:
            kept = error
    closed_while_running = Client("vps_test", base_url=base_url, **options)
    async with anyio.create_task_group() as group:
        group.start_soon(ended, closed_while_running.servers.get(1))
        made = closed_while_running.servers.create(name="a", plan_id=1, os_id=1, location="us-west")
        group.start_soon(ended, made)
        await anyio.wait_all_tasks_blocked()
        await closed_while_running.aclose()
    never_used = Client("vps_test", base_url=base_url)
    print("done")

async def ended(call):
    try:
        await call
    except VPSError:
        pass

backend, base_url, authority = sys.argv[1:]
options = {"trio": {}, "asyncio": {"debug": True}, "uvloop": {"use_uvloop": True, "debug": True}}[backend]
anyio.run(main, base_url, authority, backend="trio" if backend == "trio" else "asyncio", backend_options=options)
"""


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def server(request):
    with RawServer(tls=certificates().valid if request.param else None) as running:
        running.answer("GET", re.compile(r"/servers/1\d\d/"), json(200, detail(100)))
        running.answer("GET", "/servers/", json(200, page(detail(1), detail(2))))
        running.answer("POST", "/servers/7/start/", json(200, action(7)))
        running.answer("GET", "/servers/7/", [json(200, detail(7, status="starting")), json(200, detail(7))])
        running.answer("GET", "/servers/1/", hang())
        running.answer("GET", "/servers/2/", drip(json(200, detail(2)), 1))
        running.answer("POST", "/servers/", hang())
        yield running


@pytest.fixture
def authority(server, tmp_path):
    """Write the test's certificate authority to a file; nothing where there is no TLS."""
    if not server.base_url.startswith("https"):
        return ""
    file = tmp_path / "ca.pem"
    ders = certificates().trust.get_ca_certs(binary_form=True)
    file.write_text("".join(ssl.DER_cert_to_PEM_cert(der) for der in ders))
    return str(file)


@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
class TestExit:
    def test_nothing_is_said_on_stderr(self, server, authority, backend):
        """P1: calls, lists, a wait, cancelled calls, a closed client: under -W error in Python's development mode."""
        arguments = ("-W", "error", "-X", "dev", "-c", SCRIPT, backend, server.base_url, authority)

        done = ran(*arguments, PYTHONDEVMODE="1", PYTHONASYNCIODEBUG="1")

        assert (done.stdout, said(done.stderr), done.returncode) == ("done\n", "", 0)


def said(stderr):
    """Return what was said, without asyncio's debug mode telling that this machine was slow."""
    return "".join(
        line for line in stderr.splitlines(keepends=True) if not re.match(r"Executing <.*> took \d\.\d+ seconds", line)
    )
