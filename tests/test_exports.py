"""The public face: names, their documentation, and what importing it costs."""

from __future__ import annotations

import enum
import inspect
import typing

import attrs
import pytest

import vpsorg_async

from tests.processes import ran
from vpsorg_async import (
    NOT_GIVEN,
    AuthenticationError,
    Client,
    InsufficientCreditsError,
    PermissionDeniedError,
    PollPolicy,
)
from vpsorg_async._catalogue.methods import AccountMethods, Locations, OperatingSystems, Plans
from vpsorg_async._fleet.fleets import Fleets
from vpsorg_async._servers import Servers


ERRORS = {
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AmbiguousNameError",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedError",
    "ConfigurationError",
    "InsufficientCreditsError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimitError",
    "ResponseError",
    "ServerError",
    "ServerGoneError",
    "StateConflictError",
    "UnexpectedStatusError",
    "VPSError",
    "WaitError",
    "WaitFailedError",
    "WaitTimeoutError",
}
MODELS = {
    "Account",
    "Action",
    "Location",
    "OperatingSystem",
    "Plan",
    "ResourceUsage",
    "Server",
    "ServerId",
    "ServerRef",
    "ServerStatus",
    "StatusGoal",
    "StatusName",
    "TokenInfo",
}
THE_REST = {
    "NOT_GIVEN",
    "Client",
    "EnsureConflict",
    "EnsureConflictError",
    "EnsurePreview",
    "Event",
    "PollPolicy",
    "RetryPolicy",
    "ServerList",
    "ServerSpec",
    "StatusSeen",
    "__version__",
}
FLEETS_AND_WATCHING = {
    "Fleet",
    "FleetReport",
    "FleetRun",
    "Outcome",
    "Progress",
    "ServerChange",
    "ClientStats",
    "ServerWatch",
    "Servers",
}
PUBLIC_CLASSES = [
    getattr(vpsorg_async, name) for name in vpsorg_async.__all__ if inspect.isclass(getattr(vpsorg_async, name))
]


def public_methods(kind):
    return [
        (name, inspect.unwrap(getattr(member, "__func__", member)))
        for name, member in vars(kind).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, classmethod))
    ]


METHODS = {
    f"{kind.__name__}.{name}": method
    for kind in [*PUBLIC_CLASSES, Servers, Fleets, Plans, Locations, OperatingSystems, AccountMethods]
    for name, method in public_methods(kind)
}


class TestNames:
    def test_what_is_public(self):
        assert set(vpsorg_async.__all__) == ERRORS | MODELS | FLEETS_AND_WATCHING | THE_REST

    def test_they_are_there_and_listed_once(self):
        assert len(set(vpsorg_async.__all__)) == len(vpsorg_async.__all__)
        assert [name for name in vpsorg_async.__all__ if not hasattr(vpsorg_async, name)] == []

    def test_nothing_else_is_public_but_modules(self):
        others = {name for name in vars(vpsorg_async) if not name.startswith("_")} - set(vpsorg_async.__all__)

        assert [name for name in others if not inspect.ismodule(getattr(vpsorg_async, name))] == []

    @pytest.mark.parametrize("kind", [kind for kind in PUBLIC_CLASSES if attrs.has(kind)])
    def test_data_is_frozen_and_slotted(self, kind):
        assert kind.__setattr__ is not object.__setattr__
        assert not hasattr(kind, "__dict__") or "__dict__" not in dir(kind)


class TestDocumentation:
    @pytest.mark.parametrize("kind", PUBLIC_CLASSES)
    def test_every_public_class_has_a_docstring_of_its_own(self, kind):
        assert (kind.__doc__ or "").strip()

    @pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
    def test_every_public_method_has_a_docstring(self, method):
        assert (method.__doc__ or "").strip()

    @pytest.mark.parametrize("kind", [kind for kind in PUBLIC_CLASSES if attrs.has(kind)])
    def test_every_public_attribute_is_documented(self, kind):
        names = [field.name for field in attrs.fields(kind) if not field.name.startswith("_")]

        # A sentence tells two attributes, a list more.
        assert len(names) <= 2 or [name for name in names if f"{name}:" not in kind.__doc__] == []

    def test_every_argument_of_the_client_is_documented(self):
        names = [name for name in inspect.signature(Client).parameters if name != "self"]

        # Python 3.13 keeps docstrings without their indentation.
        assert [name for name in names if f"\n    {name}: " not in inspect.cleandoc(Client.__doc__)] == []


class TestSignatures:
    def test_the_client_takes_what_it_says(self):
        assert list(inspect.signature(Client).parameters) == [
            "token",
            "base_url",
            "timeout",
            "attempt_timeout",
            "retry",
            "max_connections",
            "transport",
            "proxy",
            "ssl_context",
            "headers",
            "user_agent",
            "allow_http",
            "on_event",
        ]

    def test_a_server_does_what_the_client_does_with_it(self):
        """Each method of a `Server` takes what that of `client.servers` does, but for the server."""
        for name, method in public_methods(vpsorg_async.Server):
            if name in ("from_dict", "to_dict", "refresh"):
                continue
            own, theirs = inspect.signature(method).parameters, inspect.signature(getattr(Servers, name)).parameters
            assert [(key, own[key].default) for key in own] == [
                (key, theirs[key].default) for key in theirs if key != "server_id"
            ]

    def test_every_fleet_takes_what_a_run_does(self):
        of_a_run = {
            "at_once": 20,
            "tolerate": None,
            "timeout": 900.0,
            "on_outcome": None,
            "progress": None,
            "poll": PollPolicy(),
            "stop_on": (AuthenticationError, InsufficientCreditsError, PermissionDeniedError),
        }
        own = {
            "start": {"wait": True, "if_needed": False},
            "stop": {"wait": True, "if_needed": False},
            "reboot": {"wait": True},
            "delete": {"wait": True, "if_needed": False},
            "update": dict.fromkeys(["name", "hostname", "backups_enabled"], NOT_GIVEN),
            "wait_until": {"status": inspect.Parameter.empty, "fail_on": NOT_GIVEN},
            "apply": {"function": inspect.Parameter.empty},
            "create": {"specs": inspect.Parameter.empty, "wait": True},
            "ensure": {"specs": inspect.Parameter.empty, "wait": True},
        }
        methods = dict([*public_methods(vpsorg_async.Fleet), *public_methods(Fleets)])
        assert [*inspect.signature(methods.pop("preview")).parameters] == ["self", "specs"]
        # What is not given is as in the report.
        resume = inspect.signature(methods.pop("resume")).parameters
        assert [*resume] == ["self", "report", "function", *of_a_run]
        assert {resume[name].default for name in ("at_once", "tolerate", "timeout", "poll", "stop_on")} == {NOT_GIVEN}

        assert methods.keys() == own.keys()
        for name, method in methods.items():
            given = {key: one.default for key, one in inspect.signature(method).parameters.items() if key != "self"}
            assert given == {**own[name], **of_a_run}
        assert "NOT_GIVEN" not in str(inspect.signature(vpsorg_async.Fleet.start))

    @pytest.mark.parametrize(
        ("kind", "names"),
        [
            (
                vpsorg_async.Outcome,
                ["index", "item", "state", "server", "value", "error", "accepted", "began_at", "ended_at"],
            ),
            (vpsorg_async.Progress, ["total", "begun", "succeeded", "failed", "pending", "unknown", "skipped"]),
            (vpsorg_async.FleetReport, ["action", "outcomes", "stopped_by"]),
            (vpsorg_async.ServerChange, ["before", "after"]),
        ],
    )
    def test_what_a_fleet_and_a_watch_tell(self, kind, names):
        assert [field.name for field in attrs.fields(kind) if not field.name.startswith("_")] == names

    def test_a_spec_is_what_a_create_takes(self):
        arguments = inspect.signature(Servers.create).parameters

        assert [field.name for field in attrs.fields(vpsorg_async.ServerSpec)] == [
            name for name in arguments if name not in ("self", "spec", "timeout")
        ]

    def test_the_seven_statuses_are_one_list(self):
        assert issubclass(vpsorg_async.ServerStatus, enum.StrEnum)
        assert set(typing.get_args(vpsorg_async.StatusName)) == set(vpsorg_async.ServerStatus)
        assert len(vpsorg_async.ServerStatus) == 7


def run(script):
    """Run *script* in an interpreter of its own, and return what it printed."""
    done = ran("-W", "error", "-c", script)
    return done.stdout, done.stderr


class TestImporting:
    def test_it_loads_nothing_that_is_not_needed_to_make_a_client(self):
        script = (
            "import sys, httpx\n"
            "before = set(sys.modules)\n"
            "import vpsorg_async\n"
            "unwanted = {'starlette', 'uvicorn', 'rich', 'trio', 'uvloop', 'pytest', 'respx', 'click', 'asyncio',\n"
            "    'tenacity', 'cattrs', 'httptools', 'httpcore', 'anyio.streams.tls',\n"
            "    'vpsorg_async.sandbox', 'vpsorg_async._request.requester', 'vpsorg_async._polling.coordinator',\n"
            "    'vpsorg_async._fleet.run'}\n"
            "print(sorted(unwanted & (set(sys.modules) - before)))\n"
        )

        assert run(script) == ("[]\n", "")

    def test_a_client_that_is_made_has_all_that_its_calls_need(self):
        """A process may have no descriptor left by then to open a module with."""
        script = (
            "import sys, anyio, httpx\n"
            "from vpsorg_async import Client, RetryPolicy\n"
            "answers = iter([503, 200])\n"
            "class Answers(httpx.AsyncBaseTransport):\n"
            "    async def handle_async_request(self, request):\n"
            "        return httpx.Response(next(answers), json={'id': 7})\n"
            "async def main():\n"
            "    client = Client('vps_test', transport=Answers(), retry=RetryPolicy(initial=0.001))\n"
            "    before = set(sys.modules)\n"
            "    await client.servers.get(7)\n"
            "    print(sorted(set(sys.modules) - before))\n"
            "anyio.run(main)\n"
        )

        assert run(script) == ("[]\n", "")

    @pytest.mark.parametrize("name", ["FleetReport", "ServerChange", "StatusSeen", "ServerList"])
    def test_what_comes_later_is_there_by_each_way_of_asking(self, name):
        script = (
            "import pickle, vpsorg_async\n"
            f"assert {name!r} in dir(vpsorg_async)\n"
            f"from vpsorg_async import {name}\n"
            "from vpsorg_async import *\n"
            f"print({name} is vpsorg_async.{name} is pickle.loads(pickle.dumps({name})))\n"
        )

        assert run(script) == ("True\n", "")

    def test_a_name_that_is_none_of_ours_is_an_attribute_error(self):
        with pytest.raises(AttributeError, match="module 'vpsorg_async' has no attribute 'Serverr'"):
            vpsorg_async.Serverr  # noqa: B018
