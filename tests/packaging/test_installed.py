"""The wheel works for users, on each interpreter, with the lowest and the newest versions that it allows."""

from __future__ import annotations

import os
import subprocess
import textwrap
import tomllib

from pathlib import Path

import attrs
import pytest

from uv import find_uv_bin

from tests.helpers import ROOT


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
USERS = ["durable", "fastapi", "otel", "prometheus", "sandbox", "trio", "uvloop"]
SANDBOX = "the sandbox needs starlette and uvicorn: pip install 'vpsorg-async[sandbox]'\n"
DURABLE = "DurableFleets need dbos and filelock: pip install 'vpsorg-async[durable]'\n"
COMMANDS = {
    "vpsorg_async": SANDBOX,
    "vpsorg_async demo": SANDBOX,
    "vpsorg_async.sandbox": SANDBOX,
    "vpsorg_async.durable": DURABLE,
    "vpsorg_async.durable status --store sqlite:///f.sqlite": DURABLE,
}

A_WAIT = """
import asyncio
from vpsorg_async.sandbox import Sandbox

async def main():
    client = Sandbox().client()
    server = await client.servers.create(name="web-01", plan_id=1, os_id=5, location="us-west")
    server = await server.wait_until(status="active")
    print((await (await server.reboot()).wait()).status)

asyncio.run(main())
"""
A_TEST = """
import asyncio

import pytest

@pytest.mark.asyncio
async def test_a_wait(vpsorg_sandbox, vpsorg_client):
    server = await vpsorg_client.servers.create(name="web-01", plan_id=1, os_id=5, location="us-west")
    assert (await server.wait_until(status="active")).status == "active"
"""
# What each extra alone lets a user do.
ALONE = {
    "durable": """
        import asyncio
        from vpsorg_async import Client
        from vpsorg_async.durable import DurableFleets

        async def main():
            client = Client("vps_test")
            async with client, DurableFleets(client, store="sqlite:///f.sqlite", worker="w") as fleets:
                print(await fleets.list())

        asyncio.run(main())
        """,
    "fastapi": """
        from fastapi import FastAPI
        from vpsorg_async import Server
        from vpsorg_async.integrations.fastapi import ClientDep, error_handlers, lifespan

        app = FastAPI(lifespan=lifespan())
        error_handlers(app)

        @app.get("/servers")
        async def servers(client: ClientDep) -> list[Server]:
            return await client.servers.list()

        assert "/servers" in app.openapi()["paths"]
        """,
    "otel": """
        from vpsorg_async import Client
        from vpsorg_async.integrations.opentelemetry import instrument

        instrument(Client("vps_test"))
        """,
    "prometheus": """
        from prometheus_client import generate_latest
        from vpsorg_async import Client
        from vpsorg_async.integrations.prometheus import instrument

        instrument(Client("vps_test"))
        assert b"vpsorg" in generate_latest()
        """,
    "sandbox": A_WAIT,
    "trio": """
        import trio
        from vpsorg_async import APIConnectionError, Client, RetryPolicy

        async def main():
            try:
                await Client("vps_test", base_url="http://127.0.0.1:9/api/v1", retry=RetryPolicy.none()).servers.get(1)
            except APIConnectionError:
                print("refused, on trio")

        trio.run(main)
        """,
    "uvloop": """
        import uvloop
        from vpsorg_async import APIConnectionError, Client, RetryPolicy

        async def main():
            try:
                await Client("vps_test", base_url="http://127.0.0.1:9/api/v1", retry=RetryPolicy.none()).servers.get(1)
            except APIConnectionError:
                print("refused, on uvloop")

        uvloop.run(main())
        """,
}


@attrs.frozen
class Environment:
    """A virtual environment without pip, and a folder of its own to run programs in."""

    folder: Path
    warnings: tuple[str, ...] = ("-W", "error")

    @property
    def python(self) -> str:
        return str(self.folder / "venv" / "bin" / "python")

    def install(self, *requirements: str) -> None:
        _uv("pip", "install", "--quiet", "--python", self.python, *requirements)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the interpreter with *arguments*, in the folder, and with nothing that the tests' environment sets."""
        ours = ("PYTHON", "PYTEST", "COVERAGE", "VPS_", "VIRTUAL_ENV")
        return subprocess.Popen(
            [self.python, *self.warnings, *arguments],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Return the exit code of the interpreter with *arguments*, and what it printed."""
        return ended(self.start(*arguments))


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def _uv(*arguments: str) -> None:
    # A network with a certificate authority of its own has it in the system's store; uv calls that by two names.
    environment = {**os.environ, "UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"}
    command = [find_uv_bin(), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def empty(tmp_path, interpreter):
    """Return an environment with nothing in it."""
    _uv("venv", "--quiet", "--python", interpreter, str(tmp_path / "venv"))
    return Environment(tmp_path)


def with_extras(wheel, *extras):
    return f"vpsorg-async[{','.join(extras)}] @ {wheel.as_uri()}"


class TestEverything:
    """All extras of users are installed."""

    @pytest.fixture(params=["lowest", "newest"])
    def installed(self, request, empty, distributions):
        """Return an environment in which each dependency has the lowest version that is allowed, or the newest.

        The lowest is the lowest that has a wheel: an interpreter may be newer than old versions of what is compiled.
        """
        options = [
            "--only-binary",
            ":all:",
            "--resolution",
            "lowest-direct" if request.param == "lowest" else "highest",
        ]
        tools = [line for line in EXTRAS["test"] if line.startswith(("pytest>", "pytest-asyncio>"))]
        direct = [line for lines in (PROJECT["dependencies"], *map(EXTRAS.get, USERS), tools) for line in lines]
        empty.install(*options, with_extras(distributions.wheel, *USERS), *direct)
        exact = empty.run("-c", "import importlib.metadata as m; print(m.version('tenacity'), m.version('starlette'))")
        assert (exact[1] == "9.0.0 0.40.0\n") == (request.param == "lowest"), exact
        # Old versions of uvicorn and pytest-asyncio use what a new Python deprecates.
        return attrs.evolve(empty, warnings=()) if request.param == "lowest" else empty

    def test_the_demo_a_wait_and_the_pytest_plugin_work(self, installed):
        (installed.folder / "test_of_a_user.py").write_text(A_TEST)
        scope = "asyncio_default_fixture_loop_scope=function"

        # The demo takes some seconds of real time.
        demo = installed.start("-m", "vpsorg_async", "demo")
        waited = installed.run("-c", A_WAIT)
        tested = installed.run("-m", "pytest", "-q", "-o", scope, "test_of_a_user.py")
        code, out, err = ended(demo)

        assert waited == (0, "active\n", "")
        assert (tested[0], "1 passed" in tested[1]) == (0, True), tested
        assert (code, err) == (0, "")
        assert out.count(": gone\n") == 5


class TestNoExtra:
    @pytest.fixture
    def bare(self, empty, distributions):
        empty.install(str(distributions.wheel))
        return empty

    def test_each_command_names_the_extra_in_one_line_and_tells_its_version(self, bare, distributions):
        version = distributions.wheel.name.split("-")[1]
        asked = {f"{command.split()[0]} --version" for command in COMMANDS}
        started = {command: bare.start("-m", *command.split()) for command in [*COMMANDS, *asked]}
        said = {command: ended(process) for command, process in started.items()}

        assert {command: said[command] for command in COMMANDS} == {
            command: (2, "", line) for command, line in COMMANDS.items()
        }
        assert [said[command] for command in asked] == [(0, f"vpsorg-async {version}\n", "")] * 3

    def test_it_is_a_client_with_types(self, bare):
        said = bare.run(
            "-c",
            "import vpsorg_async, pathlib; print(vpsorg_async.Client('vps_test'), "
            "pathlib.Path(vpsorg_async.__file__).with_name('py.typed').exists())",
        )

        assert (said[0], said[1].endswith(" True\n"), said[2]) == (0, True, "")


class TestOneExtra:
    @pytest.mark.parametrize("extra", USERS)
    def test_it_is_enough_for_what_it_is_named_after(self, empty, distributions, extra):
        empty.install(with_extras(distributions.wheel, extra))

        code, _, err = empty.run("-c", textwrap.dedent(ALONE[extra]))

        assert (code, err) == (0, "")


def test_every_extra_of_users_is_tried():
    assert set(USERS) == ALONE.keys() == EXTRAS.keys() - {"test"}
