"""Describe what goes wrong in a sandbox, with which requests, and when."""

from __future__ import annotations

from ._fault import Fault
from ._rule import Rule


__all__ = ["Fault", "Rule"]

# Their public place: the name by which a pickle and an error message know them.
Fault.__module__ = Rule.__module__ = __name__
