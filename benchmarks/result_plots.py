"""Chooses the plots of the results: which lines, of which figures. Pure."""

from __future__ import annotations

import statistics

from collections.abc import Mapping
from typing import Any

from benchmarks.cells import GATHERED, Cell
from benchmarks.peers import NEAR_LIMIT, OURS
from benchmarks.plots import Plot
from benchmarks.samples import GATHER, LOOP, Samples, known, median


def plots_of(results: Mapping[str, Any]) -> dict[str, Plot]:
    """Return the plots by the names of their files."""
    parts: dict[str, Samples] = {name: part["samples"] for name, part in results["parts"].items()}
    found = {}
    for name, where in (("get", ""), ("tls", ", TLS")):
        if name in parts:
            lines = {peer: _line(parts[name], peer, "cpu", 1e6) for peer in known(parts[name])}
            found[f"cpu_{name}"] = Plot(f"CPU of a call{where}", "calls at once", "µs", lines)
    for measure, title, unit, by in (
        ("requests", "Requests for N waits", "requests", 1),
        ("memory", "Memory of N waits", "KiB, the tasks included", 1 / 1024),
    ):
        if "waits" in parts:
            lines = {peer: _line(parts["waits"], peer, measure, by) for peer in (OURS, LOOP) if peer in parts["waits"]}
            found[f"waits_{measure}"] = Plot(title, "waits at once", unit, lines)
    for measure, title, unit, by in (
        ("cpu", "CPU of an item of a fleet", "ms", 1e3),
        ("memory", "Memory of an item of a fleet, at the most", "kB", 1e-3),
    ):
        if "fleets" in parts:
            lines = {peer: _line(parts["fleets"], peer, measure, by) for peer in known(parts["fleets"])}
            found[f"fleets_{measure}"] = Plot(title, "items", unit, lines, log_y=False)
    if "burst" in parts:
        lines = {
            f"{name}, {connections}": _line(parts["burst"], peer, f"cpu, {connections} connections", 1e6)
            for name, peer in ((OURS, OURS), ("aiohttp", NEAR_LIMIT))
            for connections in (100, 10)
            if peer in parts["burst"]
        }
        found["burst"] = Plot(
            "CPU of a call, all begun at once over 100 or 10 connections", "calls at once", "µs", lines, log_y=False
        )
    for measure, title, unit, by in (("cpu", "CPU of a call", "µs", 1e6), ("memory", "Memory in use", "MiB", 2**-20)):
        if "life" in parts:
            lines = {peer: _line(parts["life"], peer, measure, by) for peer in known(parts["life"])}
            plot = Plot(f"{title}, over a client's life", "calls made", unit, lines, log_x=False, log_y=False)
            found[f"life_{measure}"] = plot
    found |= _of_bulk(parts.get("bulk", {}))
    return {name: plot for name, plot in found.items() if all(plot.lines.values()) and plot.lines}


def _line(samples: Samples, peer: str, measure: str, by: float) -> dict[float, float]:
    found = samples.get(peer, {}).get(measure, {})
    return {float(x): statistics.median(values) * by for x, values in found.items()}


BULK = "reboot"
"""The command that the plots of bulk work show, with uniform durations."""


def _of_bulk(samples: Samples) -> dict[str, Plot]:
    cells = [Cell.parse(name) for name in samples.get(OURS, {}).get("requests", {})]
    cells = [cell for cell in cells if cell.what == BULK and cell.durations == "uniform"]
    accounts = sorted({cell.account for cell in cells})

    def line(peer: str, measure: str, account: int) -> dict[float, float]:
        values = {cell.at_once: median(samples, peer, measure, cell) for cell in cells if cell.account == account}
        return {float(at_once): value for at_once, value in values.items() if value is not None}

    found = {}
    for measure, title, unit, other in (
        ("requests", "Requests of a reboot and its wait", "requests of an item", LOOP),
        ("late", "Lateness of a reboot's end", "s, median", LOOP),
        ("cpu_ms", "CPU of a reboot and its wait", "ms of an item", GATHER),
    ):
        lines = {f"account of {account:,}": line(OURS, measure, account) for account in accounts}
        lines[_SHORT[other]] = line(other, measure, GATHERED)
        found[f"bulk_{measure.removesuffix('_ms')}"] = Plot(title, "at once", unit, lines, log_y=False)
    return found if cells else {}


_SHORT = {LOOP: "the ideal loop", GATHER: "asyncio.gather"}
