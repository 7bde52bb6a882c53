"""Holds the figures of the benchmarks by peer, measure and x, with their medians and ratios. Pure."""

from __future__ import annotations

import statistics

from typing import TypeAlias

from benchmarks.peers import PEERS
from benchmarks.shapes import SERVERS


Samples: TypeAlias = dict[str, dict[str, dict[str, list[float]]]]
"""The values by peer, measure and x, one for each round."""

AT_ONCE = (1, 10, 100, 1_000)
ALL = str(SERVERS)
LOOP = "a GET every 5 s"
GATHER = "asyncio.gather over that loop, with httpx"


def median(samples: Samples, peer: str, measure: str, x: object) -> float | None:
    """Return the median of the rounds, or `None` if it was not measured."""
    values = samples.get(peer, {}).get(measure, {}).get(str(x))
    return statistics.median(values) if values else None


def ratio(samples: Samples, one: str, other: str, measure: str, x: object) -> float | None:
    """Return the ratio of *one*'s figure to *other*'s: the median of the ratios of each round.

    A slow moment of the machine slows both figures of a round.
    """
    ones, others = (samples.get(peer, {}).get(measure, {}).get(str(x), []) for peer in (one, other))
    pairs = [mine / theirs for mine, theirs in zip(ones, others, strict=False)]
    return statistics.median(pairs) if pairs else None


def known(samples: Samples) -> list[str]:
    """Return the peers measured, in the order of the table of peers."""
    return [peer for peer in PEERS if peer in samples]
