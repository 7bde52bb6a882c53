"""Which requests match a fault, to which of them it is applied, and which of several take effect."""

from __future__ import annotations

import itertools
import threading

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import MAKE
from vpsorg_async.sandbox import Call, Sandbox
from vpsorg_async.sandbox._state.account import uuid_of
from vpsorg_async.sandbox.faults import Fault
from vpsorg_async.sandbox.faults._injector import (
    OVERRIDES,
    Counts,
    FaultInjector,
    Injection,
    Target,
    decide,
    effective,
    matches,
    stage_of,
)


LIST, ONE, START = "/servers/", "/servers/7/", "/servers/7/start/"
MATCHES = [
    ({}, Target("GET", "/nowhere"), True),
    ({"method": "POST"}, Target("POST", LIST), True),
    ({"method": "post"}, Target("POST", LIST), True),
    ({"method": "POST"}, Target("GET", LIST), False),
    ({"path": "start"}, Target("POST", START, "7"), True),
    ({"path": "^/servers/$"}, Target("GET", LIST), True),
    ({"path": "^/servers/$"}, Target("GET", ONE, "7"), False),
    ({"path": "^servers"}, Target("GET", LIST), False),
    ({"server_id": 7}, Target("GET", ONE, "7"), True),
    ({"server_id": "7"}, Target("GET", ONE, "7"), True),
    ({"server_id": "007"}, Target("GET", ONE, "7"), True),
    ({"server_id": 7}, Target("GET", "/servers/77/", "77"), False),
    ({"server_id": 7}, Target("GET", f"/servers/{uuid_of(7)}/", uuid_of(7)), True),
    ({"server_id": uuid_of(7).upper()}, Target("GET", ONE, "7"), True),
    ({"server_id": uuid_of(8)}, Target("GET", ONE, "7"), False),
    ({"server_id": 7}, Target("GET", LIST), False),
    ({"server_id": 7}, Target("POST", LIST), False),
    ({"server_id": 7, "method": "POST", "path": "start"}, Target("POST", START, "7"), True),
    ({"server_id": 7, "method": "POST", "path": "stop"}, Target("POST", START, "7"), False),
]
READS = {"list": Target("GET", LIST), "detail": Target("GET", ONE, "7")}
COMMANDS = {
    "create": Target("POST", LIST),
    **{name: Target("POST", f"/servers/7/{name}/", "7") for name in ("start", "stop", "reboot", "power")},
}
OTHERS = {
    "delete": Target("DELETE", ONE, "7"),
    "change": Target("PATCH", ONE, "7"),
    "unknown": Target("GET", "/x/"),
    "unknown command": Target("POST", "/servers/7/x/", "7"),
}
EVERYTHING = {**READS, **COMMANDS, **OTHERS}
MATCHED_BY_KIND = {
    "stale": READS,
    "as_status": READS,
    "omit": {"list"},
    "loop": {"list"},
    "end_in": COMMANDS,
}


class TestMatches:
    @pytest.mark.parametrize(("rule", "target", "expected"), MATCHES)
    def test_all_that_is_given_must_hold(self, rule, target, expected):
        assert matches(Fault.hang(**rule), target) is expected

    @pytest.mark.parametrize("kind", MAKE)
    def test_a_kind_matches_what_it_can_show_on(self, kind):
        fitted = {name for name, target in EVERYTHING.items() if matches(MAKE[kind](), target)}

        assert fitted == set(MATCHED_BY_KIND.get(kind, EVERYTHING))

    @pytest.mark.parametrize("kind", MAKE)
    def test_faults_of_one_server_match_lists_too(self, kind):
        assert matches(MAKE[kind](server_id=7), READS["list"]) is (kind in {"stale", "as_status", "omit"})


class TestDecide:
    @pytest.mark.parametrize(
        ("rule", "applied"),
        [
            ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
            ({"times": 2}, [1, 2]),
            ({"every": 3}, [3, 6, 9]),
            ({"every": 3, "times": 2}, [3, 6]),
            ({"every": 1}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
            ({"probability": 0}, []),
            ({"probability": 1}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
            ({"probability": 0.5}, [1, 2, 3, 4, 5]),
            ({"probability": 0.5, "every": 2, "times": 1}, [2]),
        ],
    )
    def test_a_table_tells_to_which_of_nine_requests_it_applies(self, rule, applied):
        """Their chances are 0, 0.1, 0.2 and so on."""
        counts, seen = Counts(), []
        for nth in range(1, 10):
            counts, applies = decide(Fault.hang(**rule), counts, (nth - 1) / 10)
            seen += [nth] if applies else []

        assert seen == applied
        assert counts == Counts(9, len(applied))

    @given(
        times=st.none() | st.integers(1, 5),
        every=st.none() | st.integers(1, 5),
        probability=st.none() | st.floats(0, 1),
        chances=st.lists(st.floats(0, 1, exclude_max=True), max_size=30),
    )
    def test_every_condition_holds_whatever_the_others_are(self, times, every, probability, chances):
        fault, counts, applied = Fault.hang(times=times, every=every, probability=probability), Counts(), []
        for nth, chance in enumerate(chances, start=1):
            counts, applies = decide(fault, counts, chance)
            applied += [(nth, chance)] if applies else []

        assert times is None or len(applied) <= times
        assert all(every is None or nth % every == 0 for nth, _ in applied)
        assert all(probability is None or chance < probability for _, chance in applied)
        left = [pair for pair in enumerate(chances, start=1) if pair not in applied]
        if times is None or len(applied) < times:
            assert all(
                (every and nth % every) or (probability is not None and chance >= probability) for nth, chance in left
            )


CUMULATIVE = {"delay", "stale", "as_status", "omit"}


class TestEffective:
    def test_every_kind_has_its_stage(self):
        assert {stage_of(make()) for make in MAKE.values()} == set(OVERRIDES) == set(MAKE)
        assert set().union(*OVERRIDES.values()) <= set(OVERRIDES)

    def test_what_is_overridden_overrides_nothing_else(self):
        """The set of overridden faults therefore does not depend on the order."""
        for stage, hidden in OVERRIDES.items():
            for other in hidden:
                assert OVERRIDES[other] <= hidden, (stage, other)

    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            (["delay", "drop"], ["delay", "drop"]),
            (["cut", "drop", "status", "end_in"], ["drop"]),
            (["end_in", "status", "bomb"], ["status", "bomb"]),
            (["omit", "html"], ["html"]),
            (["bomb", "html", "delay"], ["delay", "html", "bomb"]),
            (["hang", "cut"], ["hang"]),
            (["drip", "cut"], ["cut", "drip"]),
            (["cut", "drop_after_commit", "end_in"], ["end_in", "drop_after_commit"]),
            (["loop", "omit", "as_status", "stale"], ["stale", "as_status", "omit", "loop"]),
        ],
    )
    def test_a_table_tells_what_shows_of_several(self, given, shown):
        assert [stage_of(fault) for fault in effective([MAKE[kind]() for kind in given])] == shown

    @given(st.lists(st.tuples(st.sampled_from(sorted(MAKE)), st.integers(1, 3)), max_size=8))
    def test_they_are_in_order_and_none_overrides_another(self, given):
        """Of one kind the last one added takes effect, or all of them in order."""
        striking = [MAKE[kind](times=times) for kind, times in given]

        shown = effective(striking)

        stages = [stage_of(fault) for fault in shown]
        assert stages == sorted(stages, key=list(OVERRIDES).index)
        assert not any(set(stages) & OVERRIDES[stage] for stage in stages)
        for stage in {stage_of(fault) for fault in striking} - set(stages):
            assert any(stage in OVERRIDES[other] for other in stages)
        for stage, several in itertools.groupby(shown, stage_of):
            same = [fault for fault in striking if stage_of(fault) == stage]
            assert list(several) == (same if stage in CUMULATIVE else same[-1:])


GET = Target("GET", LIST)
CALL = Call(method="GET", path=LIST, query={}, json=None, status=200, at=5.0)


@pytest.fixture
def injector():
    return FaultInjector(threading.Lock(), seed=0)


class TestInjector:
    def test_faults_apply_within_their_with(self, injector):
        """Faults of nested blocks take effect together, in the order of their stages."""
        cut, drip = Fault.cut(1), Fault.drip(1)
        with injector.inject(drip):
            first = injector.select(GET)
            with injector.inject(cut):
                both = injector.select(GET)
            third = injector.select(GET)

        assert (first, both, third, injector.select(GET)) == ((drip,), (cut, drip), (drip,), ())

    def test_they_end_when_the_body_raises(self, injector):
        with pytest.raises(KeyError), injector.inject(Fault.hang()):
            raise KeyError

        assert injector.select(GET) == ()

    def test_the_same_fault_twice_counts_twice(self, injector):
        """The end of one `with` does not end the fault of the other."""
        fault = Fault.delay(1, times=1)
        with injector.inject(fault):
            with injector.inject(fault, fault):
                assert injector.select(GET) == (fault, fault, fault)
            with injector.inject(fault):
                assert injector.select(GET) == (fault,)
            assert injector.select(GET) == ()

    def test_a_fault_counts_what_it_matches_alone(self, injector):
        injector.add(Fault.cut(1, every=2, method="GET"), Fault.drip(1, every=2))

        applied = [len(injector.select(Target(method, LIST))) for method in ("GET", "POST", "GET", "POST")]

        assert applied == [0, 1, 1, 1]

    def test_another_fault_does_not_change_its_count(self, injector):
        """This holds even if the other fault overrides it."""
        injector.add(Fault.drop(times=2), Fault.cut(1, every=3))

        assert [[stage_of(one) for one in injector.select(GET)] for _ in range(3)] == [["drop"], ["drop"], ["cut"]]

    def test_clear_ends_them_all(self, injector):
        """It also removes faults of a `with`, whose end then does nothing."""
        injector.add(Fault.hang())
        with injector.inject(Fault.hang()):
            injector.clear()
            assert injector.select(GET) == ()

        assert injector.select(GET) == ()

    def test_the_log_tells_which_fault_was_applied_to_what(self, injector):
        """The log is kept by `clear`, and the property returns a copy."""
        fault = Fault.cut(1)
        injector.record((fault,), CALL)
        injector.clear()
        injector.log.clear()

        assert injector.log == [Injection(fault, CALL, 5.0)]
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            injector.log[0].at = 7

    @pytest.mark.parametrize("wrong", ["drop", None, Fault, Fault.hang])
    def test_only_faults_are_taken(self, injector, wrong):
        for take in (injector.add, lambda *faults: injector.inject(*faults).__enter__()):
            with pytest.raises(TypeError) as caught:
                take(Fault.hang(), wrong)
            assert str(caught.value) == (f"expected a Fault, such as Fault.drop() or Fault.status(503), not {wrong!r}")

        assert injector.select(GET) == ()

    @given(seed=st.integers(), probability=st.floats(0.2, 0.8))
    def test_the_seed_decides_chance(self, seed, probability):
        """The choice is the same on every run, with or without other faults; another seed gives another choice."""

        def applied(seed, *others):
            injector = FaultInjector(threading.Lock(), seed)
            injector.add(Fault.cut(1, probability=probability), *others)
            return ["cut" in map(stage_of, injector.select(GET)) for _ in range(200)]

        first = applied(seed)

        assert applied(seed) == first
        assert applied(seed, Fault.drip(1, probability=0.5)) == first
        assert applied(seed + 1) != first
        assert abs(sum(first) - 200 * probability) < 60

    def test_two_equal_faults_have_different_chances(self, injector):
        injector.add(*[Fault.delay(1, probability=0.5)] * 2)

        assert {len(injector.select(GET)) for _ in range(50)} == {0, 1, 2}

    def test_a_sandbox_has_its_own(self):
        one, other = Sandbox(), Sandbox()
        one.faults.add(Fault.hang())

        assert other.faults.select(GET) == ()
        assert one.faults.select(GET) == (Fault.hang(),)
