"""Every async test runs on asyncio, uvloop and trio; `--backend`, `--one-backend` and `--row` pick some."""

from __future__ import annotations

import collections
import gc
import importlib
import importlib.util
import logging
import os
import platform
import random
import sys
import zlib

from collections.abc import Generator, Iterator
from typing import Any

import hypothesis
import pytest

from tests.helpers import row_of
from tests.rawserver import RawServer


BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {"debug": True}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
# trio has no other way to take tasks in the same order each time.
trio_run: Any = importlib.import_module("trio._core._run") if importlib.util.find_spec("trio") else None
if trio_run is not None:
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True
INSTALLED = [name for name in BACKENDS if importlib.util.find_spec(name)]
A_MINUTE = 60.0
RAN = pytest.StashKey[collections.Counter[str]]()
TOLD = pytest.StashKey[list[str]]()
# Python has eager tasks from 3.12 on.
collect_ignore = [] if sys.version_info >= (3, 12) else ["test_eager_tasks.py"]
OUR_VARIABLES = ("VPS_API_TOKEN", "VPS_API_URL", "SSL_CERT_FILE", "SSL_CERT_DIR")

hypothesis.settings.register_profile("ours", deadline=None, print_blob=True, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("ours")
# For mutations: that an example fails is enough, nobody reads it.
hypothesis.settings.register_profile("unshrunk", phases=set(hypothesis.Phase) - {hypothesis.Phase.shrink})


def backend_name(value: Any) -> str:
    """Return the name of what the fixture `anyio_backend` gave: `uvloop` is asyncio with an option."""
    kind, options = value if isinstance(value, tuple) else (value, {})
    return "uvloop" if options.get("use_uvloop") else kind


@pytest.fixture(params=[pytest.param(BACKENDS[name], id=name) for name in INSTALLED])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    if request.node.get_closest_marker("heavy") and request.param == BACKENDS["asyncio"]:
        return "asyncio", {}
    return request.param


@pytest.fixture(autouse=True)
def _same_chances(request: pytest.FixtureRequest) -> None:
    """Give each test its own jitter, and on trio its own order of tasks, which are the same in each run.

    A test on the sandbox's clock then takes as long in each run, to the last digit.
    """
    seed_chances(request.node.nodeid)


def seed_chances(seed: int | str) -> None:
    """Let all that the library and the backends draw at random be the same for the same *seed*."""
    random.seed(seed)
    if trio_run is not None:
        trio_run._r.seed(seed)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name in OUR_VARIABLES or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[RawServer]:
    """Return a server on a real socket that responds as the test says."""
    with RawServer() as running:
        yield running


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vpsorg_async")
    group.addoption("--backend", choices=list(BACKENDS), help="run async tests on this one only")
    group.addoption("--one-backend", action="store_true", help="run each async test on one backend, by turns")
    group.addoption(
        "--row",
        metavar="CODE",
        help="run only the tests whose docstring begins with this SCENARIOS code; several: W1,W2",
    )
    group.addoption(
        "--chaos-seconds",
        type=float,
        default=4.0,
        metavar="N",
        help="how long tests/chaos tries at random, in all; from 60 on on every backend and at every byte (default: 4)",
    )
    group.addoption("--chaos-seed", type=int, default=0, metavar="N", help="of its first episode (default: 0)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processes on each core: half of the time a test waits for a socket or a deadline."""
    return 2 * (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    # How long a callback takes tells how busy the machine is: no record for tests that count theirs.
    logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().startswith("Executing "))
    config.stash[RAN], config.stash[TOLD] = collections.Counter(), []
    config.pluginmanager.register(Counting(config.stash[RAN], config.stash[TOLD]))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from walking all tests again and again: then a collection takes a hundredth."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        _an_example()
        gc.collect()
        gc.freeze()


@hypothesis.settings(max_examples=1, database=None)
@hypothesis.given(hypothesis.strategies.none())
def _an_example(_: None) -> None:
    """Let hypothesis find who refers to its source of random numbers: older releases look among what is not frozen."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    there = _backends(items)
    kept = [item for item in items if _wanted(item, config.option, there)]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept


def _backends(items: list[pytest.Item]) -> dict[str, list[str]]:
    """Return which backends each test has, by its name without its case: some have asyncio alone."""
    there: dict[str, set[str]] = collections.defaultdict(set)
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "anyio_backend" in callspec.params:
            there[item.nodeid.partition("[")[0]].add(backend_name(callspec.params["anyio_backend"]))
    return {name: sorted(backends, key=INSTALLED.index) for name, backends in there.items()}


def _wanted(item: pytest.Item, option: Any, there: dict[str, list[str]]) -> bool:
    row = option.row
    if row and row_of(getattr(getattr(item, "function", None), "__doc__", None)) not in row.split(","):
        return False
    callspec = getattr(item, "callspec", None)
    if callspec is None or "anyio_backend" not in callspec.params:
        return True
    backend = backend_name(callspec.params["anyio_backend"])
    name, _, case = item.nodeid.partition("[")
    if option.one_backend or _is_a_quick_poll_at_chaos(item, option):
        # By its name, so that it is the same in every process, and by the interpreter; its cases go together.
        return backend == _whose_turn(name, there[name])
    if option.backend is None and item.get_closest_marker("by_turns"):
        return backend == _whose_turn(name + case.replace(backend, "", 1), there[name])
    return option.backend in (None, backend)


def _whose_turn(name: str, backends: list[str]) -> str:
    return backends[(zlib.crc32(name.encode()) + sys.version_info.minor) % len(backends)]


def _is_a_quick_poll_at_chaos(item: pytest.Item, option: Any) -> bool:
    return "chaos" in item.path.parts and option.chaos_seconds < A_MINUTE and option.backend is None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    if "anyio_backend" in getattr(item, "funcargs", {}):
        # Goes with the report, also from a worker process of pytest-xdist.
        item.user_properties.append(("backend", backend_name(item.funcargs["anyio_backend"])))


class Counting:
    """Counts the tests that ran on each backend, and keeps what they tell with `record_property("told", …)`."""

    def __init__(self, ran: collections.Counter[str], told: list[str]) -> None:
        self._ran = ran
        self._told = told

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._ran.update(value for name, value in report.user_properties if name == "backend")
            name = report.nodeid.rpartition("::")[2]
            self._told += [f"{name}: {value}" for key, value in report.user_properties if key == "told"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in sorted(config.stash[TOLD]):
        terminalreporter.write_line(line)
    ran = config.stash[RAN]
    counted = ", ".join(f"{name} {ran[name]}" for name in BACKENDS if ran[name])
    terminalreporter.write_line(f"Python {platform.python_version()}; tests on each backend: {counted or 'none'}")
