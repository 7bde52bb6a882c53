"""What goes wrong, with which requests, and when: `Fault`, plain data that a sandbox's plan is made of."""

from __future__ import annotations

from ._fault import Fault, Rule


__all__ = ["Fault", "Rule"]
