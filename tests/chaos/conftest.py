"""How long and how thoroughly to break things: `--chaos-seconds` and `--chaos-seed`."""

from __future__ import annotations

import pytest

from tests.conftest import INSTALLED


FULL_SECONDS = 60.0


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether to try every byte and every step, and not some of them."""
    return request.config.option.chaos_seconds >= FULL_SECONDS


@pytest.fixture
def share(request: pytest.FixtureRequest) -> float:
    """The part of all that a backend has to do: what is done at random is shared among those that run."""
    option = request.config.option
    return 1.0 if option.backend or option.one_backend else 1 / len(INSTALLED)
