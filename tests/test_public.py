"""Public classes and functions say where they are public, and their type hints resolve at run time."""

from __future__ import annotations

import copy
import inspect
import pickle
import typing

import attrs
import pytest

import vpsorg_async

from tests.processes import ran
from vpsorg_async._fleet.fleets import Fleets
from vpsorg_async._public import publish


CLASSES = [getattr(vpsorg_async, name) for name in vpsorg_async.__all__ if inspect.isclass(getattr(vpsorg_async, name))]
SPECIAL = {"__init__", "__aenter__", "__aexit__", "__aiter__", "__anext__", "__await__", "__call__"}


def functions_of(kind):
    for base in kind.__mro__:
        if base.__module__.startswith("vpsorg_async"):
            for name, member in vars(base).items():
                function = inspect.unwrap(getattr(member, "__func__", member))
                if inspect.isfunction(function) and (not name.startswith("_") or name in SPECIAL):
                    yield f"{kind.__name__}.{name}", function


FUNCTIONS = dict(pair for kind in [*CLASSES, Fleets] for pair in functions_of(kind))


@pytest.mark.parametrize("kind", CLASSES)
def test_a_public_class_says_that_it_is_public(kind):
    assert kind.__module__ == "vpsorg_async"
    assert getattr(vpsorg_async, kind.__name__) is kind
    assert pickle.loads(pickle.dumps(kind)) is copy.copy(kind) is kind


@pytest.mark.parametrize("kind", [*CLASSES, Fleets])
def test_the_hints_of_a_class_resolve(kind):
    hints = typing.get_type_hints(kind)

    assert [name for name, hint in hints.items() if isinstance(hint, str)] == []
    if attrs.has(kind):
        assert {field.name for field in attrs.fields(attrs.resolve_types(kind))} <= hints.keys()


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_hints_of_a_public_function_resolve(function):
    arguments = set(inspect.signature(function).parameters) - {"self", "cls"}

    hints = typing.get_type_hints(function)

    assert arguments <= hints.keys() | {"_", "_progress"} or function.__name__ in ("__init__", "__call__")


def test_a_traceback_names_the_public_class():
    script = "from vpsorg_async import NotFoundError\nraise NotFoundError('gone')"

    done = ran("-c", script)

    assert done.stderr.splitlines()[-1] == "vpsorg_async.NotFoundError: gone"


def test_annotations_are_resolved_before_the_module_changes():
    class Odd:
        size: int

    Odd.__annotations__ = {"size": "CLASSES_THAT_ARE_NOT_THERE"}

    with pytest.raises(NameError):
        publish(Odd)

    assert Odd.__module__ == __name__


def test_the_data_of_a_model_have_nothing_private():
    """`attrs.asdict` has neither its client nor its password. Copies and pickles are whole."""
    data = {"id": 7, "name": "x", "status": "active", "password": "hunter2", "plan": {"id": 1}}
    client = vpsorg_async.Client("vps_test")
    server = client.servers.bind(vpsorg_async.Server.from_dict(data))

    found = attrs.asdict(server)

    assert [name for name in [*found, *found["plan"]] if name.startswith("_")] == []
    assert attrs.fields(vpsorg_async.Server).extra.name == "extra"
    assert attrs.evolve(server, name="y").to_dict() == {**server.to_dict(), "name": "y"}
    assert pickle.loads(pickle.dumps(server)).to_dict() == server.to_dict()
