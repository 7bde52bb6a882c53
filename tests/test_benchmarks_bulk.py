"""Tests the benchmark of bulk work: its durations, the ideal loop, the ceiling of polls, and the runs themselves."""

from __future__ import annotations

import itertools

import pytest

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bulk, cells
from benchmarks.cells import Cell, Poll, Wait


class TestCell:
    def test_a_cell_is_read_from_what_its_text_says(self):
        assert Cell.parse("1000:20:reboot") == Cell(1000, 20, "reboot", "uniform")
        assert Cell.parse("1000:20:reboot", "bimodal") == Cell(1000, 20, "reboot", "bimodal")
        assert Cell.parse("1:1:stop:slower", "bimodal") == Cell(1, 1, "stop", "slower")
        assert Cell.parse(str(Cell(7, 3, "delete", "none"))) == Cell(7, 3, "delete", "none")

    @pytest.mark.parametrize(
        "text", ["", "1000:20", "x:20:stop", "9:0:stop", "9:1:stap", "9:1:stop:fast", "9:1:stop:none:1"]
    )
    def test_any_other_text_is_refused(self, text):
        with pytest.raises(ValueError, match=r"is not account:at_once:what|use one of"):
            Cell.parse(text)

    def test_items_are_no_more_than_there_are_servers_to_command(self):
        assert Cell(100, 20, "stop").items(300) == 100
        assert Cell(100, 20, "create").items(300) == 300
        assert Cell(10_000, 1_000, "stop").items(300) == 1_000


class TestDurations:
    @given(st.sampled_from(list(cells.DURATIONS)), st.sampled_from(cells.WHATS), st.text(), st.floats(0, 1))
    def test_a_duration_is_the_same_each_time_and_within_a_wait(self, durations, what, seed, begun):
        seconds = cells.duration(durations, what, seed, begun)

        assert 0 <= seconds <= cells.LONGEST
        assert seconds == cells.duration(durations, what, seed, begun)

    @pytest.mark.parametrize(("durations", "times"), [("slower", 3), ("faster", 1 / 3), ("uniform", 1)])
    def test_a_change_comes_in_the_middle(self, durations, times):
        before, after = (cells.duration(durations, "create", "a", begun) for begun in (0.49, 0.5))

        assert after == pytest.approx(before * times, abs=0.2)


class TestLoop:
    @pytest.mark.parametrize(
        ("seconds", "polls", "late"), [(0.1, 1, 4.9), (5.0, 1, 0.0), (5.1, 2, 4.9), (12.5, 3, 2.5), (0.0, 1, 5.0)]
    )
    def test_it_asks_every_five_seconds_after_the_command_was_accepted(self, seconds, polls, late):
        assert cells.loop_polls(seconds) == polls
        assert cells.loop_lateness(seconds) == pytest.approx(late)

    @given(st.integers(1, 80_000))
    def test_it_is_never_early_nor_later_than_its_pause(self, tenths):
        assert -1e-9 <= cells.loop_lateness(tenths / 10) < cells.MAXIMUM


class TestCeiling:
    def test_the_first_and_the_last_get_of_a_wait_do_not_count(self):
        polls = [Poll(at, "7") for at in (0.0, 1.0, 2.0, 3.0)]

        assert cells.counted(polls, {"7": Wait(0, 2.5, 3)}) == [1.0, 2.0]
        assert cells.counted(polls[:1], {"7": Wait(0, 0, 0)}) == []
        assert cells.counted(polls, {}) == [0.0, 1.0, 2.0, 3.0]

    @pytest.mark.parametrize(
        ("wait", "times"),
        [
            (Wait(0, 3.5, 4), [0.0, 1.0, 2.0, 3.0, 4.0]),
            (Wait(0.5, 2.5, 3), [0.0, 0.0, 2.0, 4.0, 4.0]),
            (Wait(0.5, 3.5, 4), [0.0, 0.0, 2.0, 3.0, 4.0]),
        ],
        ids=["lists are both", "GETs are both", "a GET, then a list"],
    )
    def test_of_a_list_that_is_the_first_or_the_last_poll_one_page_does_not_count(self, wait, times):
        pages = [Poll(at, None) for at in (0.0, 0.0, 4.0, 4.0)]
        gets = [Poll(at, "7") for at in (1.0, 2.0, 3.0)]

        assert cells.counted([*pages, *gets], {"7": wait}) == times

    def test_no_more_pages_of_a_list_are_left_out_than_it_has(self):
        waits = {str(number): Wait(1, 3, 4) for number in range(9)}

        assert cells.counted([Poll(0.0, None), Poll(4.0, None), Poll(4.0, None), Poll(5.0, None)], waits) == [0.0, 5.0]

    def test_a_list_that_is_the_first_poll_and_the_last_is_one_poll(self):
        assert cells.counted([Poll(4.0, None)] * 3, {"7": Wait(1, 3, 4)}) == [4.0, 4.0]

    @pytest.mark.parametrize(
        ("each", "waits", "polls", "allowed"),
        [
            (0.5, [], 2.0, 2.0),
            (1.0, [Wait(0, 99, 100)] * 20, 1.0, 4.0),
            (5.0, [Wait(0, 15, 15)] * 20, 0.2, 2.0),
        ],
    )
    def test_polls_are_held_against_two_a_second_or_one_for_each_wait_in_five(self, each, waits, polls, allowed):
        window = cells.busiest([place * each for place in range(60)], waits)

        assert (window.polls, window.allowed) == pytest.approx((polls, allowed), abs=1e-9)

    def test_the_window_is_the_worst_half_minute(self):
        window = cells.busiest([0.0, 10.0, 100.0, 101.0, 102.0, 130.0, 131.0, 131.9], [])

        assert (window.begin, window.polls) == (102.0, 4 / 30)

    @given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)).map(sorted), max_size=20), st.floats(0, 100))
    def test_the_seconds_of_waits_in_a_window_are_their_overlap_with_it(self, spans, begin):
        waits = [Wait(accepted, accepted, seen) for accepted, seen in spans]

        seconds = cells._Alive(waits).seconds(begin, begin + 30)

        overlap = sum(max(0, min(wait.seen, begin + 30) - max(wait.accepted, begin)) for wait in waits)
        assert seconds == pytest.approx(overlap, abs=1e-6)


def figures(**changes):
    of_an_item = {"requests": 5.0, "late": 1.0, "worst": 5.0, "cpu_ms": 1.0}
    good = of_an_item | {"polls": 2.0, "allowed": 2.0, "loop_requests": 10.0, "loop_late": 2.0}
    return cells.Figures(items=300, **{"failed": 0, **good, **changes})


class TestAims:
    @pytest.mark.parametrize(
        ("cell", "changes", "names"),
        [
            ("1000:20:stop", {}, []),
            ("1000:20:stop", {"requests": 6.1}, ["times"]),
            ("3000:20:stop", {"requests": 10.0}, []),
            ("1000:19:stop", {"requests": 10.1}, ["times"]),
            ("1000:20:create", {"requests": 9.0}, []),
            ("1000:5:stop", {"requests": 99.0}, []),
            ("1000:5:stop", {"late": 1.5}, ["lateness"]),
            ("1000:6:stop", {"late": 2.2}, []),
            ("1000:6:stop", {"late": 2.3}, ["lateness"]),
            (
                "1000:6:stop",
                {"worst": 5.1, "cpu_ms": 5.1, "polls": 2.1, "failed": 1},
                ["failed", "worst", "cpu_ms", "polls"],
            ),
        ],
    )
    def test_a_figure_above_its_aim_is_missed(self, cell, changes, names):
        assert cells.missed(Cell.parse(cell), figures(**changes)) == set(names)

    def test_a_latency_may_be_added_to_the_worst_lateness(self):
        assert cells.missed(Cell.parse("1000:20:stop"), figures(worst=5.5), latency=0.2) == set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
class TestRuns:
    @pytest.mark.parametrize("what", cells.WHATS)
    @pytest.mark.parametrize("durations", ["uniform", "none"])
    async def test_the_gather_is_the_ideal_loop(self, what, durations):
        found = await bulk.measure(Cell(12, 3, what, durations), bulk.gather, 12)

        assert (found.items, found.failed) == (12, 0)
        assert found.requests == pytest.approx(found.loop_requests)
        assert found.late == pytest.approx(found.loop_late)
        assert found.polls <= found.allowed

    @pytest.mark.parametrize("what", cells.WHATS)
    async def test_a_fleet_gets_every_item_there_and_is_counted(self, what):
        found = await bulk.measure(Cell(12, 3, what), items=12)

        assert (found.items, found.failed) == (12, 0)
        assert found.requests >= 1
        assert 0 <= found.late <= found.worst <= cells.MAXIMUM

    async def test_two_runs_of_a_cell_have_the_same_requests_and_lateness(self):
        cell = Cell(40, 5, "stop", "long-tailed")

        first, second = [await bulk.measure(cell, items=40) for _ in range(2)]

        assert (first.requests, first.late, first.worst) == (second.requests, second.late, second.worst)


def test_the_command_prints_a_line_for_each_cell_and_each_way(capsys):
    bulk.main(["10:2:stop", "10:2:stop:none", "--items", "5", "--gather", "--durations", "uniform", "none"])

    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["cell", "way"]
    ways = itertools.product(["10:2:stop:uniform", "10:2:stop:none"], ["library", "gather"])
    assert [tuple(line.split()[:2]) for line in lines] == [*ways]


def test_a_line_marks_what_misses_its_aim():
    line = bulk.row(Cell.parse("1000:20:stop"), "library", figures(requests=9.0), 0.0)

    assert (line["times"], line["worst"]) == ("0.90!", "5.00 ")
    assert bulk.row(Cell.parse("1000:20:stop"), "gather", figures(requests=9.0), 0.0)["times"] == "0.90 "
