"""Every public function tells its arguments, to people and to tools, when it runs as well as when it is checked."""

from __future__ import annotations

import importlib
import inspect
import typing

import pytest

from tests.test_public import SPECIAL
from vpsorg_async._catalogue.methods import AccountMethods, Locations, OperatingSystems, Plans
from vpsorg_async._fleet.fleets import Fleets
from vpsorg_async._servers import Servers
from vpsorg_async.sandbox.faults._injector import FaultInjector


# Without `testing`: its fixtures are called by pytest alone, and a module that pytest always imports imports nothing.
MODULES = (
    "vpsorg_async",
    "vpsorg_async.durable",
    "vpsorg_async.integrations.fastapi",
    "vpsorg_async.integrations.opentelemetry",
    "vpsorg_async.integrations.prometheus",
    "vpsorg_async.sandbox",
    "vpsorg_async.sandbox.faults",
)


# The types of `client.servers` and the like, whose modules the first client imports.
LATE = {kind.__name__: kind for kind in (AccountMethods, Fleets, Locations, OperatingSystems, Plans, Servers)}


def hints_of(function):
    late = LATE if function.__module__ == "vpsorg_async._client" else {}
    return typing.get_type_hints(function, localns=late)


def exported():
    for place in MODULES:
        module = importlib.import_module(place)
        own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == place]
        for name in getattr(module, "__all__", own):
            thing = getattr(module, name)
            if name[0] != "_" and (inspect.isclass(thing) or inspect.isroutine(thing)):
                yield thing


def own_classes(hint):
    """Return this library's classes in a type hint."""
    if inspect.isclass(hint) and hint.__module__.startswith("vpsorg_async"):
        return {hint}
    return set().union(*map(own_classes, typing.get_args(hint)))


def functions_of(kind, *, made_by_users):
    for base in kind.__mro__:
        if base.__module__.startswith("vpsorg_async"):
            for name, member in vars(base).items():
                function = getattr(member, "fget", None) or inspect.unwrap(getattr(member, "__func__", member))
                shown = not name.startswith("_") or name in SPECIAL - {"__init__"}
                if inspect.isfunction(function) and (shown or (name == "__init__" and made_by_users)):
                    yield f"{kind.__name__}.{name}", function


def public_functions():
    """Return the exported functions, and the methods and properties of the exported classes.

    The classes of what these return, such as `client.servers`, are public too.
    """
    found, seen, waiting = {}, set(), [*exported()]
    made_by_users = {*waiting}
    # The attribute `faults` of a sandbox.
    waiting.append(FaultInjector)
    while waiting:
        thing = waiting.pop()
        if thing in seen:
            continue
        seen.add(thing)
        if inspect.isclass(thing):
            functions = dict(
                functions_of(thing, made_by_users=thing in made_by_users and thing.__name__ != "DurableRun")
            )
        else:
            functions = {f"{thing.__module__}.{thing.__name__}": inspect.unwrap(thing)}
        found |= functions
        for function in functions.values():
            waiting += own_classes(hints_of(function).get("return"))
    return found


FUNCTIONS = public_functions()
FLEETS = {"start", "stop", "reboot", "delete", "update", "wait_until", "apply"}
OF_EVERY_RUN = ("at_once", "tolerate", "timeout", "on_outcome", "progress", "poll", "stop_on")


def test_what_clients_and_fleets_hand_out_is_looked_at_too():
    assert {
        "Client.servers",
        "Servers.create",
        "ServerWatch.synced",
        "Fleets.create",
        "Plans.list",
        "AccountMethods.me",
        "DurableFleets.create",
        "DurableRun.snapshot",
        "FaultInjector.inject",
        "vpsorg_async.integrations.fastapi.lifespan",
    } <= FUNCTIONS.keys()


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_hints_resolve(function):
    signature = inspect.signature(function, eval_str=True, locals=LATE)
    hints = hints_of(function)

    told = {name for name in hints if name != "return"}
    assert {name for name, one in signature.parameters.items() if isinstance(one.annotation, str)} == set()
    assert set(signature.parameters) - {"self", "cls"} == told


@pytest.mark.parametrize("kind", [*filter(inspect.isclass, exported())], ids=lambda kind: kind.__name__)
def test_the_hints_of_what_makes_a_class_resolve(kind):
    """Also of a class that users are given and do not make: tools that document it ask for these."""
    assert isinstance(typing.get_type_hints(kind.__init__, localns=LATE), dict)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_each_argument_has_a_name(function):
    hints = hints_of(function)
    for name, one in inspect.signature(function).parameters.items():
        if one.kind is one.VAR_KEYWORD:
            assert typing.get_origin(hints[name]) is typing.Unpack
            (options,) = typing.get_args(hints[name])
            assert typing.get_type_hints(options)


def options_of(function):
    return {
        name: (one.kind, one.annotation, one.default)
        for name, one in inspect.signature(function, eval_str=True, locals=LATE).parameters.items()
        if name in OF_EVERY_RUN
    }


@pytest.mark.parametrize("name", [f"Fleet.{verb}" for verb in sorted(FLEETS)] + ["Fleets.create", "Fleets.ensure"])
def test_each_action_of_a_fleet_has_the_same_options(name):
    assert options_of(FUNCTIONS[name]) == options_of(FUNCTIONS["Fleet.start"])
    assert tuple(options_of(FUNCTIONS[name])) == OF_EVERY_RUN


def test_resume_has_the_same_options_and_no_defaults_of_its_own():
    assert options_of(FUNCTIONS["Fleets.resume"]).keys() == set(OF_EVERY_RUN)


@pytest.mark.parametrize("name", ["start", "stop", "reboot", "delete", "create"])
def test_durable_fleets_have_the_same_defaults(name):
    durable = options_of(FUNCTIONS[f"DurableFleets.{name}"])
    ours = options_of(FUNCTIONS["Fleet.start"])

    assert durable
    assert durable == {name: ours[name] for name in durable}


def test_an_app_and_a_sandbox_take_the_options_of_a_client():
    client = inspect.signature(FUNCTIONS["Client.__init__"], eval_str=True).parameters
    lifespan = FUNCTIONS["vpsorg_async.integrations.fastapi.lifespan"]
    sandbox = FUNCTIONS["Sandbox.client"]
    (of_lifespan,) = typing.get_args(typing.get_type_hints(lifespan)["client_options"])
    (of_sandbox,) = typing.get_args(typing.get_type_hints(sandbox)["options"])

    kinds = {name: one.annotation for name, one in client.items() if name not in ("self", "token")}
    assert typing.get_type_hints(of_lifespan) == kinds
    assert kinds.items() >= typing.get_type_hints(of_sandbox).items()
    assert typing.get_type_hints(of_lifespan).keys() - typing.get_type_hints(of_sandbox).keys() == {
        "allow_http",
        "base_url",
        "proxy",
        "ssl_context",
        "transport",
    }
