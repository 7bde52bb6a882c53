"""Tests a run of many items: all are done, each once, and nothing of them is remembered."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.durable.parts import place, specs


pytestmark = [pytest.mark.anyio, pytest.mark.heavy]

COUNT = 300


@pytest.fixture
def anyio_backend() -> Any:
    """Return an event loop that dbos runs on."""
    return "asyncio", {}


async def test_hundreds_of_items_are_done_once_each_and_forgotten(tmp_path):
    """D5: what a worker remembers of an item ends with it; `python -m benchmarks.durable` has the figures of 10,000."""
    async with place(tmp_path) as at:
        given = specs(*[f"many-{number}" for number in range(COUNT)])
        report = await (await at.fleets.create("many", given, wait=False, at_once=100))
        _, worker = at.fleets._working.parts

        assert len(report.succeeded) == len(report) == COUNT
        assert Counter(server["name"] for server in at.sandbox.servers) == Counter(spec.name for spec in given)
        assert worker._sent == {}
