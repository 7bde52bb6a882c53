"""Fleets whose work survives the process. Extra `durable`."""

from __future__ import annotations

from ._fleets import DurableFleets
from ._run import DurableRun


__all__ = ["DurableFleets", "DurableRun"]
