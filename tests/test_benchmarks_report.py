"""Tests the report of the benchmarks: ratios, targets, tables, plots, and the places of the tables in the pages."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ET

import pytest

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import plots, report, scale
from benchmarks.peers import OURS, RAW
from benchmarks.result_plots import plots_of
from benchmarks.samples import GATHER, LOOP, median, ratio
from benchmarks.tables import inserted
from benchmarks.targets import TARGETS, targets
from tests.helpers import ROOT


class TestReport:
    def test_a_ratio_is_the_median_of_the_ratios_of_each_round(self):
        samples = {OURS: {"cpu": {"1": [1.0, 20.0, 1.0]}}, RAW: {"cpu": {"1": [2.0, 40.0, 4.0]}}}

        assert ratio(samples, OURS, RAW, "cpu", 1) == 0.5

    def test_a_figure_that_was_not_measured_is_none_and_not_zero(self):
        assert ratio({}, OURS, RAW, "cpu", 1) is None
        assert median({}, OURS, "cpu", 1) is None
        assert targets({}).count("not measured") == len(TARGETS)

    @pytest.mark.parametrize(("ours", "word"), [(0.49, "reached"), (0.51, "**missed**")])
    def test_a_target_says_whether_it_was_reached(self, ours, word):
        samples = {OURS: {"cpu": {"1": [ours]}}, RAW: {"cpu": {"1": [1.0]}}}

        line = next(
            line for line in targets({"get": samples}).splitlines() if "1 at once, as a share of raw httpx" in line
        )

        assert line.endswith(f"| {word} |")

    def test_the_document_has_a_table_of_every_measured_part(self):
        samples = {peer: {"cpu": {"1": [1e-4, 3e-4, 2e-4]}, "wall": {"1": [1e-3]}} for peer in (RAW, OURS)}
        part = {
            "begun": "now",
            "rounds": 3,
            "load": [0, 1],
            "note": "busy",
            "left_out": {"pydo": "no"},
            "samples": samples,
        }

        text = report.document({"machine": {"cores": "2"}, "versions": {}, "parts": {"get": part}})

        assert "| get | now | 3 | 0 and 1 | busy |" in text
        assert "Left out: pydo: no." in text
        assert text.index(f"| **{OURS}** | `Server` | 200 (100\N{EN DASH}300) |") < text.index("| httpx | dict |")

    def test_every_plot_of_the_recorded_results_can_be_drawn(self):
        results = json.loads((ROOT / "benchmarks" / "results" / "results.json").read_text())

        for name, plot in plots_of(results).items():
            assert (ROOT / "benchmarks" / "results" / f"{name}.svg").read_text() == plots.svg(plot)


def bulk_samples(cells, **ours):
    """Return samples of *cells* in which every figure is good, but for *ours*."""
    figures = {"requests": 5.0, "late": 1.0, "worst": 4.0, "cpu_ms": 1.0, "polls": 1.0, "allowed": 2.0, "failed": 0.0}
    loops = {"requests": 10.0, "late": 2.0}
    return {
        peer: {name: {cell: [value] for cell in cells} for name, value in values.items()}
        for peer, values in ((OURS, figures | ours), (LOOP, loops), (GATHER, {"cpu_ms": 0.5}))
    }


class TestBulk:
    CELLS = ("1000:20:reboot:uniform", "1000:1:reboot:uniform", "3000:20:reboot:uniform", "1000:20:stop:slower")

    @pytest.mark.parametrize(
        ("cell", "ours", "missed"),
        [
            ("1000:20:stop:uniform", {}, []),
            ("1000:20:stop:uniform", {"requests": 6.1}, ["the same, in progress at least twice as many"]),
            ("3000:20:stop:uniform", {"requests": 10.1}, ["requests of an item, 10 at once or more"]),
            ("1000:5:stop:uniform", {"late": 1.5}, ["the same, 5 at once or fewer"]),
            ("1000:20:stop:uniform", {"late": 2.3}, ["median lateness, as a multiple"]),
            ("1000:20:stop:uniform", {"worst": 5.1}, ["lateness of the latest item"]),
            ("1000:20:stop:uniform", {"cpu_ms": 5.1, "failed": 1.0}, ["items that failed", "CPU of an item, ms"]),
            ("1000:20:stop:uniform", {"polls": 2.1}, ["polls of the busiest half minute"]),
        ],
    )
    def test_one_bad_cell_misses_the_target_of_its_kind(self, cell, ours, missed):
        lines = [line for line in targets({"bulk": bulk_samples([cell], **ours)}).splitlines() if "**missed**" in line]

        assert len(lines) == len(missed)
        assert all(line.startswith(f"| {begin}") for line, begin in zip(lines, missed, strict=True))

    def test_each_kind_of_durations_has_a_table_of_its_cells(self):
        part = {"begun": "now", "rounds": 1, "load": [0, 1], "note": "", "left_out": {}}
        part["samples"] = bulk_samples(self.CELLS)

        text = report.document({"machine": {}, "versions": {}, "parts": {"bulk": part}})

        assert (
            "| 1000:20:reboot | 5.00 | 10.00 | 0.50 | 1.00 | 2.00 | 0.50 | 4.00 | 1.00 | 2.00 | 1.00 | 0.50 |" in text
        )
        assert [line for line in text.splitlines() if line.startswith("Durations")] == [
            "Durations: uniform.",
            "Durations: slower.",
        ]

    def test_the_plots_have_a_line_for_each_account_and_one_to_compare_with(self):
        found = plots_of({"parts": {"bulk": {"samples": bulk_samples(self.CELLS)}}})

        assert {name: list(plot.lines) for name, plot in found.items()} == {
            "bulk_requests": ["account of 1,000", "account of 3,000", "the ideal loop"],
            "bulk_late": ["account of 1,000", "account of 3,000", "the ideal loop"],
            "bulk_cpu": ["account of 1,000", "account of 3,000", "asyncio.gather"],
        }
        assert found["bulk_requests"].lines["account of 1,000"] == {1.0: 5.0, 20.0: 5.0}


class TestPlots:
    def test_a_plot_is_well_formed_and_small_and_has_each_line_once(self):
        plot = plots.Plot("A <b> & c", "x", "y", {"ours": {1: 5, 10: 7}, "theirs": {1: 50, 10: 70}})

        root = ET.fromstring(plots.svg(plot))

        space = "{http://www.w3.org/2000/svg}"
        assert len(root.findall(f".//{space}polyline")) == 2
        assert root.find(f"{space}title").text == "A <b> & c"
        assert len(plots.svg(plot)) < 4_000

    @given(st.dictionaries(st.text(), st.floats(plots.TOP, plots.HEIGHT - plots.BOTTOM), min_size=1, max_size=12))
    def test_labels_stay_in_order_apart_and_inside_the_plot(self, wanted):
        places = plots.spread(wanted)

        inside = sorted(places.values())
        assert all(after - before >= plots.LABEL - 1e-6 for before, after in itertools.pairwise(inside))
        assert inside[0] >= plots.TOP
        assert inside[-1] <= plots.HEIGHT - plots.BOTTOM
        assert sorted(wanted, key=lambda name: wanted[name]) == sorted(places, key=lambda name: places[name])

    @pytest.mark.parametrize(
        ("value", "text"), [(0, "0"), (0.5, "0.5"), (1.0, "1"), (1.5, "1.5"), (2.5, "2.5"), (1000.0, "1,000")]
    )
    def test_a_tick_tells_its_value(self, value, text):
        """Steps of a half were all shown as 2."""
        assert plots.short(value) == text

    @given(st.floats(1e-6, 1e9), st.floats(1, 1e6))
    def test_steps_enclose_the_values(self, low, times):
        found = plots.steps(low, low * times)

        assert found[0] <= low
        assert found[-1] >= low * times
        assert len(found) > 1


class TestPages:
    @pytest.mark.parametrize("name", [*scale.TRIALS, "machine"])
    def test_the_page_has_a_place_for_each_table(self, name):
        page = inserted(scale.PAGE.read_text(), name, "a table")

        assert f"<!-- {name} -->\na table\n<!-- end of {name} -->" in page
        assert inserted(page, name, "another").count("a table") == 0

    def test_a_page_without_the_place_is_refused(self):
        with pytest.raises(AssertionError, match="has no <!-- waits -->"):
            inserted("# A page", "waits", "a table")
