"""Recipes that run in a test, as modules."""

from __future__ import annotations

import importlib.util
import sys

from tests.helpers import ROOT


RECIPES = ROOT / "examples" / "recipes"


def recipe(name):
    """Return a recipe as a new module, which can be imported by its name."""
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def reboots(sandbox):
    """Return the ids of the servers whose reboot was sent, in order."""
    return [call.path.split("/")[2] for call in sandbox.calls if call.path.endswith("/reboot/")]
