"""The pytest plugin, in projects of users: nothing is configured there but what each test says."""

from __future__ import annotations

import sys
import tomllib

import pytest

from tests.helpers import ROOT


PLUGIN = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]["vpsorg_async"]
AS_INSTALLED = ["-p", "no:vpsorg_async", "-p", PLUGIN]
"""The plugin as pyproject.toml names it: what is installed here may be older."""

SECONDS = 120
"""Far less than the waits in the tests below would take in real time."""

A_WAIT = """
async def test_a_server_of_five_minutes(vpsorg_sandbox, vpsorg_client):
    server = await vpsorg_client.servers.create(name="web-01", plan_id=1, os_id=5, location="us-west")
    server = await server.wait_until(status="active")
    server = await (await server.reboot()).wait()

    assert server.status == "active"
    assert [call.method for call in vpsorg_sandbox.calls if call.method == "POST"] == ["POST", "POST"]
    assert vpsorg_sandbox.calls[-1].at > 120
"""
STRICT = f"""
import pytest

pytestmark = pytest.mark.asyncio

{A_WAIT}
"""
ANYIO = f"""
import pytest

pytestmark = pytest.mark.anyio

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

{A_WAIT}
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return an empty project, whose pytest finds this package and loads the plugins that are installed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # What tells a worker of pytest-xdist, and what it runs, is not the project's.
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.run(sys.executable, "-m", "pytest", "-p", "no:xdist", *options, timeout=SECONDS)


@pytest.mark.parametrize(
    ("source", "options", "passed"),
    [
        pytest.param(STRICT, [], 1, id="pytest-asyncio, strict"),
        pytest.param(A_WAIT, ["--asyncio-mode=auto"], 1, id="pytest-asyncio, auto"),
        pytest.param(ANYIO, [], 2, id="anyio's plugin"),
        pytest.param(ANYIO, ["-p", "no:asyncio"], 2, id="anyio's plugin alone"),
        pytest.param(ANYIO, ["--asyncio-mode=auto"], 2, id="anyio's marks under pytest-asyncio, auto"),
    ],
)
def test_the_fixtures_work_without_configuration(project, source, options, passed):
    project.makepyfile(source)

    result = run(project, *options)

    result.assert_outcomes(passed=passed)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_warnings_may_be_errors_once_pytest_asyncio_has_its_loop_scope(project, mode):
    project.makeini(f"""
        [pytest]
        filterwarnings = error
        asyncio_mode = {mode}
        asyncio_default_fixture_loop_scope = function
    """)
    project.makepyfile(STRICT)

    result = run(project, "-W", "error")

    result.assert_outcomes(passed=1)


def test_what_users_do_with_them(project):
    project.makepyfile(
        test_of_their_own="""
            import pytest

            @pytest.mark.asyncio
            @pytest.mark.parametrize("turn", [1, 2])
            async def test_each_test_has_a_sandbox_of_its_own(vpsorg_sandbox, vpsorg_client, turn):
                assert vpsorg_sandbox.calls == []
                await vpsorg_client.servers.create(name="web-01", plan_id=1, os_id=5, location="us-west")
                assert [server["name"] for server in vpsorg_sandbox.servers] == ["web-01"]
        """,
        test_another_sandbox="""
            import pytest
            from vpsorg_async.sandbox import Sandbox

            @pytest.fixture
            def vpsorg_sandbox():
                return Sandbox(servers=3)

            @pytest.mark.asyncio
            async def test_it_takes_the_place_of_ours(vpsorg_client):
                assert len(await vpsorg_client.servers.list()) == 3
        """,
        test_async_fixture="""
            import pytest
            import pytest_asyncio

            @pytest_asyncio.fixture
            async def server(vpsorg_client):
                return await vpsorg_client.servers.create(name="web-01", plan_id=1, os_id=5, location="us-west")

            @pytest.mark.asyncio
            async def test_the_client_goes_on_in_the_test(server):
                assert (await server.wait_until(status="active")).status == "active"
        """,
        test_not_async="""
            import asyncio

            def test_the_loop_is_its_own(vpsorg_client):
                async def main():
                    return await vpsorg_client.servers.list()

                assert asyncio.run(main()) == []
        """,
        test_faults="""
            import pytest
            from vpsorg_async.sandbox.faults import Fault

            @pytest.mark.asyncio
            async def test_a_lost_answer(vpsorg_sandbox, vpsorg_client):
                with vpsorg_sandbox.faults.inject(Fault.drop(after_commit=True, method="POST", times=1)):
                    server = await vpsorg_client.servers.create(name="web-01", plan_id=1, os_id=5, location="us-west")

                assert [made["id"] for made in vpsorg_sandbox.servers] == [server.id]
                assert len(vpsorg_sandbox.faults.log) == 1
        """,
    )

    result = run(project)

    result.assert_outcomes(passed=6)


def test_a_missing_extra_is_named(project):
    project.makepyfile("def test_anything(vpsorg_sandbox): ...")
    # Not by `None` in sys.modules: Python 3.15 cannot word the error of a module in a package that is None.
    project.makepyfile(
        without_it="""
        import sys
        import pytest

        class NotInstalled:
            def find_spec(self, name, path=None, target=None):
                if name == "starlette":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, NotInstalled())
        sys.exit(pytest.main(["-p", "no:xdist"]))
        """
    )

    result = project.run(sys.executable, "without_it.py", timeout=SECONDS)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*pip install 'vpsorg-async?sandbox?'*"])


def test_the_plugin_is_listed_with_its_fixtures(project):
    project.makepyfile("def test_nothing(): ...")

    result = run(project, *AS_INSTALLED, "--fixtures")

    result.stdout.fnmatch_lines([f"*fixtures defined from {PLUGIN}*", "vpsorg_sandbox*", "vpsorg_client*"])


def test_the_fixtures_are_there_where_plugins_are_loaded_by_name(project, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    project.makeconftest('pytest_plugins = ["vpsorg_async.testing"]')
    project.makepyfile("def test_it(vpsorg_client): assert vpsorg_client.stats().requests == 0")

    result = project.run(sys.executable, "-m", "pytest", timeout=SECONDS)

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("source", "options"),
    [
        pytest.param("def test_anything(): ...", ["--version", "--version"], id="pytest --version --version"),
        pytest.param("def test_anything(): ...", [], id="a run without the fixtures"),
        pytest.param("def test_anything(vpsorg_client): ...", ["--collect-only"], id="a collection of tests with them"),
    ],
)
def test_a_start_of_pytest_imports_nothing_of_the_package_until_a_fixture_is_used(
    project, monkeypatch, source, options
):
    # Other plugins that are installed here import what is looked for.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    project.makepyfile(source)
    project.makepyfile(
        started=f"""
        import sys, pytest
        status = pytest.main({["-p", PLUGIN, *options]!r})
        print("plugin loaded:", {PLUGIN!r} in sys.modules)
        imported = {{name.partition(".")[0] for name in sys.modules}}
        print("imported:", sorted(imported & {{"vpsorg_async", "httpx", "attrs", "anyio"}}))
        sys.exit(status)
    """
    )

    result = project.run(sys.executable, "started.py", timeout=SECONDS)

    assert result.ret == 0
    result.stdout.fnmatch_lines(["plugin loaded: True", "imported: []"])
