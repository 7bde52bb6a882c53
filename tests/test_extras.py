"""A missing extra is named: by the imports of what needs it, and by each command in one line."""

from __future__ import annotations

import ast
import sys
import tomllib
import typing

import pytest

from tests.helpers import ROOT
from tests.processes import ran
from vpsorg_async._extras import Extra, Needing, missing, remedy


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OTEL = "vpsorg_async.integrations.opentelemetry needs opentelemetry-api: pip install 'vpsorg-async[otel]'"
SANDBOX = "the sandbox needs starlette and uvicorn: pip install 'vpsorg-async[sandbox]'"
DURABLE = "DurableFleets need dbos and filelock: pip install 'vpsorg-async[durable]'"
COMMANDS = ["vpsorg_async", "vpsorg_async.sandbox", "vpsorg_async.durable"]


def without(packages, *program):
    """Run *program* in an interpreter that has none of *packages*, and return its exit code and what it printed."""
    starts = "import runpy, sys\n" + "".join(f"sys.modules[{package!r}] = None\n" for package in packages)
    script = (
        f"{starts}sys.argv[1:] = {program[1:]!r}\nrunpy.run_module({program[0]!r}, run_name='__main__', alter_sys=True)"
    )
    done = ran("-W", "error", "-c", script)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("extra", typing.get_args(Extra))
def test_an_extra_that_is_named_is_one_that_can_be_installed(extra):
    assert extra in PROJECT["optional-dependencies"]
    assert f"pip install 'vpsorg-async[{extra}]'" in remedy(extra)


@pytest.mark.parametrize(
    ("package", "statement", "said"),
    [
        ("starlette", "from vpsorg_async.sandbox import Sandbox", SANDBOX),
        ("uvicorn", "import vpsorg_async.sandbox as s; s.Sandbox", SANDBOX),
        ("opentelemetry", "import vpsorg_async.integrations.opentelemetry", OTEL),
        (
            "prometheus_client",
            "import vpsorg_async.integrations.prometheus",
            "vpsorg_async.integrations.prometheus needs prometheus-client: pip install 'vpsorg-async[prometheus]'",
        ),
        (
            "starlette",
            "import vpsorg_async.integrations.fastapi",
            "vpsorg_async.integrations.fastapi needs FastAPI: pip install 'vpsorg-async[fastapi]'",
        ),
        (
            "fastapi",
            "from vpsorg_async.integrations.fastapi import ClientDep",
            "vpsorg_async.integrations.fastapi needs FastAPI: pip install 'vpsorg-async[fastapi]'",
        ),
    ],
)
def test_an_import_without_its_package_names_the_extra(package, statement, said):
    script = f"import sys; sys.modules[{package!r}] = None; {statement}"

    done = ran("-c", script)

    assert done.stderr.splitlines()[-1] == f"ModuleNotFoundError: {said}"


def test_the_fixtures_without_pytest_say_so_in_a_line():
    script = "import sys; sys.modules['pytest'] = None; import vpsorg_async.testing"

    done = ran("-c", script)

    told = "ModuleNotFoundError: vpsorg_async.testing needs pytest: pip install pytest"
    assert done.stderr.splitlines()[-1] == told


def test_a_starlette_app_needs_no_fastapi():
    script = "import sys; sys.modules['fastapi'] = None; import vpsorg_async.integrations.fastapi as f; f.lifespan()"

    done = ran("-c", script)

    assert done.stderr == ""


def test_the_error_of_another_package_is_left_as_it_is():
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'nothing_of_ours'$"), Needing("otel"):
        import nothing_of_ours  # noqa: F401


def test_what_is_installed_is_not_missing(monkeypatch):
    assert missing("sandbox") is None

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert missing("sandbox") == SANDBOX


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (["vpsorg_async"], SANDBOX),
        (["vpsorg_async", "demo"], SANDBOX),
        (["vpsorg_async.sandbox"], SANDBOX),
        (["vpsorg_async.durable"], DURABLE),
        (["vpsorg_async.durable", "work", "--store", "sqlite:///x.sqlite", "--worker", "a"], DURABLE),
        (["vpsorg_async.durable", "status", "--store", "sqlite:///x.sqlite"], DURABLE),
    ],
)
def test_a_command_without_its_extra_says_one_line(program, said):
    assert without(["starlette", "uvicorn", "dbos", "filelock", "sqlalchemy"], *program) == (2, "", f"{said}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_tells_its_version_without_its_extra(command):
    version = ast.literal_eval((ROOT / "vpsorg_async" / "_version.py").read_text().rpartition(" = ")[2])

    said = without(["starlette", "uvicorn", "dbos", "filelock", "sqlalchemy"], command, "--version")

    assert said == (0, f"vpsorg-async {version}\n", "")


@pytest.mark.parametrize("command", ["vpsorg_async", "vpsorg_async.durable"])
def test_a_command_that_is_given_nothing_says_what_to_give(command):
    code, out, err = without([], command)

    assert (code, out) == (2, "")
    assert "error: give a command: " in err


def test_the_demo_on_the_real_account_needs_no_sandbox():
    code, _, err = without(["starlette", "uvicorn"], "vpsorg_async", "demo", "--live")

    assert code == 1
    assert "VPS_API_TOKEN" in err
