"""Fixtures for the options `--chaos-seconds` and `--chaos-seed`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import INSTALLED, backend_name


FULL_SECONDS = 60.0
SOME = 4


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether to test every byte and every step, and not only some of them."""
    return request.config.option.chaos_seconds >= FULL_SECONDS


@pytest.fixture
def share(request: pytest.FixtureRequest) -> float:
    """The share of the random tests that one backend runs.

    All installed backends together run all of them.
    """
    option = request.config.option
    return 1.0 if option.backend or option.one_backend else 1 / len(INSTALLED)


@pytest.fixture
def places(
    request: pytest.FixtureRequest, anyio_backend: Any, thorough: bool, share: float
) -> Callable[..., list[int]]:
    """Return a function that gives the places at which this backend applies a fault.

    The places are from 0 to *length*. In a thorough run, one of the backends takes each place, or *at_most* so many of
    them. Otherwise each backend takes some places and those of *always*.
    """
    turn, backends = INSTALLED.index(backend_name(anyio_backend)), round(1 / share)

    def some(length: int, *always: int, at_most: int = 10**9) -> list[int]:
        if thorough:
            return list(range(turn % backends, length + 1, backends * max(1, length // at_most)))
        return sorted({*range(turn, length + 1, max(1, length // SOME)), 0, length, *always})

    return some
