"""Every command of the project: `nox` runs the quick checks, `nox --list` shows all of them.

Sessions run on the Python that runs nox, except those that need another interpreter or other versions of the
dependencies. What stands behind `--` goes to the command of a session.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from pathlib import Path

import nox


nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["quick"]

ROOT = Path(__file__).parent
LOCK = ROOT / "requirements-dev.txt"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
BACKENDS = ("asyncio", "uvloop", "trio")
# The last lines of a run of pytest: the first is of tests/conftest.py.
CLOSING = re.compile(
    r"^(?P<ran>Python (?P<version>\d+\.\d+).*tests on each backend.*)\n(?P<closing>.*\d+ passed.*)$", re.MULTILINE
)

# What the quick checks always test: the rules of the project, and its public face.
ALWAYS = ("architecture", "docs", "exports", "mutations_listed", "pickling", "project", "secrets")
# Only one interpreter runs these: they take longest, and depend on the interpreter the least.
ONCE = (
    "tests/chaos",
    "tests/polling/test_coordinator_at_random.py",
    "tests/test_benchmarks.py",
    *(f"tests/durable/test_{name}.py" for name in ("command", "engine", "keeper", "settling", "worker")),
)
# The tests of the code that depends on other libraries.
ON_LIBRARIES = (
    "tests/request",
    "tests/transport",
    *(f"tests/sandbox/test_{name}.py" for name in ("main", "sandbox")),
    *(f"tests/sandbox/api/test_{name}.py" for name in ("app", "endpoints", "validation")),
    *(f"tests/sandbox/clocks/test_{name}.py" for name in ("scaled", "virtual")),
    "tests/sandbox/server/test_uvicorn_server.py",
    *(f"tests/test_{name}.py" for name in ("cancellation", "client", "commands_create", "demo", "endpoints", "exit")),
    *(f"tests/test_{name}.py" for name in ("http", "json", "lifetime", "models", "testing")),
    "tests/fleet/test_run.py",
    *(f"tests/polling/test_{name}.py" for name in ("coordinator", "waiting")),
)
# What reads and writes JSON.
ON_JSON = (
    "tests/test_json.py",
    *(f"tests/request/test_{name}.py" for name in ("codec", "codec_hostile", "error_responses")),
    *(f"tests/test_{name}.py" for name in ("client", "decoding", "models", "pagination")),
)
# What makes requests.
ON_HTTPX = (
    "tests/request",
    "tests/transport",
    "tests/sandbox/server",
    *(f"tests/test_{name}.py" for name in ("client", "config", "http")),
)


def pyenv_on_path() -> None:
    """Let nox find the interpreters of pyenv, also those that its shims do not start."""
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()
        folders = sorted(str(folder) for folder in Path(root).glob("versions/3.1[1-9]*/bin"))
        os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])


pyenv_on_path()
OTHERS = [
    version
    for version in nox.project.python_versions(PYPROJECT)
    if version != THIS and shutil.which(f"python{version}")
]
# Debian's newest suite may have those that are not installed.
NEWER = [version for version in ("3.14", "3.15") if version not in {THIS, *OTHERS}]


def here(session: nox.Session, *command: str | Path) -> None:
    """Run a module of the Python that runs nox."""
    session.run(sys.executable, "-m", *command, external=True)


# -- while you work


@nox.session(venv_backend="none")
def quick(session: nox.Session) -> None:
    """Format, lint, check types, and run the tests of what you changed: less than two minutes."""
    here(session, "ruff", "check", "-q", "--fix-only")
    here(session, "ruff", "format", "-q")
    for check in (lint, types, imports):
        check(session)
    chosen = session.posargs or tests_of_changes()
    here(session, "pytest", "-n", "auto", "-q", "--one-backend", "-m", "not heavy", *chosen)


def tests_of_changes() -> list[str]:
    """Return the test modules that mirror the changed modules, the changed test modules, and those that always run."""
    base = git("merge-base", "HEAD", "origin/main") or git("rev-parse", "HEAD")
    changed = {*git("diff", "--name-only", *base), *git("ls-files", "--others", "--exclude-standard")}
    found = {ROOT / f"tests/test_{name}.py" for name in ALWAYS}
    for name in changed:
        *rooms, module = [part.lstrip("_") for part in Path(name).with_suffix("").parts]
        if rooms[:1] == ["vpsorg_async"]:
            folder = ROOT.joinpath("tests", *rooms[1:])
            found |= {*folder.glob(f"test_{module}.py"), *folder.glob(f"test_{module}_*.py")}
        elif rooms[:1] == ["tests"] and module.startswith("test_") and name not in ONCE:
            found.add(ROOT / name)
    return sorted(str(path.relative_to(ROOT)) for path in found if path.exists())


def git(*arguments: str) -> list[str]:
    """Return the lines that a command of git prints, and none if it fails."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()


# -- one check each


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Run the hooks of .pre-commit-config.yaml on all files: format, style, spelling, and the files of the forge."""
    here(session, "pre_commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types."""
    here(session, "mypy")
    here(session, "pyright", "--pythonpath", sys.executable)


@nox.session(venv_backend="none")
def blocks(session: nox.Session) -> None:
    """Check the types of every example, and of every block of the README, the docs, the docstrings and notebooks."""
    here(session, "pytest", "-q", "-n", "2", "tests/checkers", *session.posargs)


@nox.session(venv_backend="none")
def completeness(session: nox.Session) -> None:
    """Check that every public name has a whole type."""
    # This check of pyright takes the first Python of the path, whatever else it is told.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ("pyright", "--verifytypes", "vpsorg_async", "--ignoreexternal")
    session.run(sys.executable, "-m", *command, external=True, env={"PATH": path})


@nox.session(venv_backend="none")
def imports(session: nox.Session) -> None:
    """Check that imports go one way."""
    session.run(Path(sys.executable).parent / "lint-imports", external=True)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run all tests on this Python, the async ones on each backend."""
    here(session, "pytest", "-n", "auto", "-q", *session.posargs)


@nox.session(python=OTHERS or False)
def python(session: nox.Session) -> None:
    """Run the tests on each other installed Python, each test on one backend; the first measures coverage.

    Without another Python, this one measures it.
    """
    first = session.python in {False, *OTHERS[:1]}
    if session.python:
        session.install("-e", ".[test]")
    program = "python" if session.python else sys.executable
    # The plugin that pytest loads from this package is there before a plugin of pytest could begin to measure: coverage
    # comes first, and follows into the processes of pytest-xdist.
    measured = ["-m", "coverage", "run"] if first else []
    ignored = [f"--ignore={path}" for path in ONCE]
    session.run(program, *measured, "-m", "pytest", "--one-backend", "-n", "auto", "-q", "-m", "not heavy", *ignored)
    if first:
        session.run(program, "-m", "coverage", "combine", "-q")
        session.run(program, "-m", "coverage", "report")


@nox.session(python=THIS)
def lowest(session: nox.Session) -> None:
    """Run the tests of the code that depends on other libraries on the lowest allowed versions."""
    session.install("-c", "tests/lowest.txt", "-e", ".[test]")
    session.run("python", "-m", "pytest", "-n", "auto", "-q", "-m", "not heavy", "--backend", "trio", *ON_LIBRARIES)


@nox.session(venv_backend="none")
@nox.parametrize("version", NEWER)
def newer(session: nox.Session, version: str) -> None:
    """Run the tests of the code that depends on other libraries on a Python of Debian's newest suite."""
    environment = ROOT / ".nox" / f"newer-{version}"
    shutil.rmtree(environment, ignore_errors=True)
    session.run(ROOT / ".ci" / "pythons", version, environment, external=True, success_codes=[0, 1])
    if not environment.exists():
        session.skip(f"Python {version} cannot be had here, and nothing was tested on it")
    command = ("-m", "pytest", "-n", "auto", "-q", "-m", "not heavy", "--one-backend")
    session.run(environment / "bin" / "python", *command, *ON_LIBRARIES, "tests/test_eager_tasks.py", external=True)


@nox.session(python=THIS)
def without_orjson(session: nox.Session) -> None:
    """Run the tests of what reads JSON where orjson is not installed."""
    session.install("-e", ".[test]")
    uninstall(session, "orjson")
    session.run("python", "-m", "pytest", "-n", "auto", "-q", "-m", "not heavy", "--one-backend", *ON_JSON)


@nox.session(python=THIS)
def httpx2(session: nox.Session) -> None:
    """Run the tests of what makes requests on httpx2, the successor of httpx, by the name of httpx."""
    session.install("-e", ".[test]", "httpx2>=2.16")
    # Every Python of this environment gives httpx2 to whoever imports httpx.
    for folder in Path(session.virtualenv.location).glob("lib/python*/site-packages"):
        (folder / "httpx_is_httpx2.pth").write_text("import httpx2; httpx2.alias_httpx()\n")
    # httpx2 brings anyio, whose plugin pytest would have to import first.
    command = ("-m", "pytest", "-W", "ignore::pytest.PytestAssertRewriteWarning", "-n", "auto", "-q")
    session.run("python", *command, "-m", "not heavy", "--one-backend", *ON_HTTPX)


def uninstall(session: nox.Session, package: str) -> None:
    """Remove a package from the environment of a session."""
    if session.venv_backend == "uv":
        session.run("uv", "pip", "uninstall", "-q", package, external=True)
    else:
        session.run("python", "-m", "pip", "uninstall", "-q", "-y", package)


@nox.session(venv_backend="none")
def audit(session: nox.Session) -> None:
    """Fail for a known weakness of an installed package that a newer release has mended."""
    report = Path(session.create_tmp()) / "audit.json"
    report.unlink(missing_ok=True)
    command = ("pip_audit", "--local", "--skip-editable", "--progress-spinner", "off", "-f", "json", "-o", str(report))
    session.run(sys.executable, "-m", *command, external=True, success_codes=range(256))
    # A package index that offers no advisories leaves no report, or one without `vulns`.
    packages = json.loads(report.read_text())["dependencies"] if report.exists() else []
    weak = [
        f"{one['name']} {one['version']}: {weakness['id']}, mended in {', '.join(weakness['fix_versions'])}"
        for one in packages
        for weakness in one.get("vulns", ())
        if weakness["fix_versions"]
    ]
    session.log(f"{sum('vulns' in one for one in packages)} of {len(packages)} packages have advisories to look at")
    if weak:
        session.error("\n".join(weak))


@nox.session(venv_backend="none")
def examples(session: nox.Session) -> None:
    """Run every example, each on a sandbox of its own; they mostly wait."""
    here(session, "pytest", "-q", "-n", "8", "tests/examples", *session.posargs)


@nox.session(venv_backend="none")
def guard(session: nox.Session) -> None:
    """Check that calls, lists and the import did not get slower against raw httpx."""
    here(session, "benchmarks.guard", *session.posargs)


@nox.session(venv_backend="none")
def chaos(session: nox.Session) -> None:
    """Apply random faults for a minute, and cut and cancel at every byte and every await."""
    # Episodes on sockets go by real time: more of them at once than there are cores would measure the machine.
    here(session, "pytest", "tests/chaos", "-n", "2", "-q", "--chaos-seconds", "60", *session.posargs)


@nox.session(venv_backend="none")
def reliability(session: nox.Session) -> None:
    """Run some of the trials of docs/reliability.md."""
    here(session, "tests.chaos.table", *(session.posargs or ["--runs", "4"]))


@nox.session(venv_backend="none")
def openapi(session: nox.Session) -> None:
    """Check with schemathesis that the sandbox responds as its OpenAPI document says."""
    here(session, "pytest", "-q", "tests/openapi", *session.posargs)


@nox.session(venv_backend="none")
def browser(session: nox.Session) -> None:
    """Test the sandbox's page and the dashboard in chromium."""
    here(session, "pytest", "-q", "tests/browser", *session.posargs)


@nox.session(venv_backend="none")
def vendor(session: nox.Session) -> None:
    """Run the vendor's two published programs against the sandbox."""
    here(session, "pytest", "-q", "-n", "auto", "tests/vendor", *session.posargs)


@nox.session(venv_backend="none")
def recipes(session: nox.Session) -> None:
    """Run the recipes of examples/recipes with the libraries that they are for."""
    here(session, "pytest", "-q", "-n", "auto", "tests/recipes", *session.posargs)


@nox.session(venv_backend="none")
def packaging(session: nox.Session) -> None:
    """Build the distributions, and try them in empty environments of every installed Python."""
    others = [shutil.which(f"python{version}") for version in OTHERS]
    given = [option for python in (sys.executable, *others) for option in ("--interpreter", str(python))]
    here(session, "pytest", "-q", "-n", "4", "tests/packaging", *given, *session.posargs)


@nox.session(venv_backend="none")
def mutations(session: nox.Session) -> None:
    """Change one line of the source at a time, and expect a test to fail."""
    here(session, "tests.mutate", *session.posargs)


@nox.session(venv_backend="none")
def coverage(session: nox.Session) -> None:
    """Measure coverage on this Python, and fail below the bound of pyproject.toml."""
    here(session, "coverage", "run", "-m", "pytest", "-n", "auto", "-q", "--one-backend", *session.posargs)
    here(session, "coverage", "combine", "-q")
    here(session, "coverage", "report")


# -- files that are made


@nox.session(venv_backend="none")
def pages(session: nox.Session) -> None:
    """Write the tree and the tables of docs/architecture.md and docs/events.md from the code."""
    session.run(sys.executable, "docs/make_tables.py", external=True)


@nox.session(venv_backend="none")
def build(session: nox.Session) -> None:
    """Build the distributions into dist and check them; `-- v1.2.3` compares the version with a tag."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    here(session, "build", "-o", "dist")
    built = sorted(str(path) for path in (ROOT / "dist").iterdir())
    here(session, "twine", "check", "--strict", *built)
    version = built[0].split("-")[1]
    entry = re.search(rf"^## {re.escape(version)} - ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    for tag in session.posargs:
        if tag != f"v{version}" or not entry:
            session.error(
                f"the tag is {tag}, the version {version}, and CHANGELOG.md has {'an' if entry else 'no'} entry"
            )


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Add what pyproject.toml newly needs to the lock; `-- --upgrade` takes the newest versions of everything."""
    compile_lock(session, LOCK, *session.posargs)


def compile_lock(session: nox.Session, to: Path, *options: str) -> None:
    """Write the versions and hashes of the group `dev`, for every interpreter and system, without the package."""
    with tempfile.TemporaryDirectory() as folder:
        # The groups name the package itself, with its extras.
        (package := Path(folder) / "package.in").write_text(f"-e {ROOT}\n")
        session.run(
            *(sys.executable, "-m", "uv", "pip", "compile", "-q", "--universal", "--python-version", "3.11"),
            *("--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header"),
            *("--no-emit-package", "vpsorg-async", "--group", f"{ROOT / 'pyproject.toml'}:dev"),
            *("-o", str(to), str(package), *options),
            external=True,
        )


# -- the end of .ci/run


@nox.session(venv_backend="none", default=False)
def closing(session: nox.Session) -> None:
    """Print the closing lines of the logs behind `--`; fail if an interpreter or a backend did not run."""
    ran = {}
    for log in session.posargs:
        for found in CLOSING.finditer(Path(log).read_text()):
            print(found["ran"], found["closing"], sep="\n", flush=True)
            ran[found["version"]] = found["ran"]
    for version in [THIS, *OTHERS]:
        missing = [name for name in BACKENDS if not re.search(rf"{name} [1-9]", ran.get(version, ""))]
        if missing:
            session.error(f"Python {version} is installed, and no test ran on it with {', '.join(missing)}")
    for version in NEWER:
        if version not in ran:
            session.warn(f"NOT TESTED on Python {version}: it is not installed, and cannot be had here")
