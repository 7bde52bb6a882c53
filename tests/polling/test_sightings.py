"""What an observation has changed, and what a watch has to tell of it."""

from __future__ import annotations

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail, listed
from vpsorg_async import Server
from vpsorg_async._polling.lifecycle import Observation
from vpsorg_async._polling.sightings import CAPACITY, GONE, NOTHING, Sightings


KEY = ("7",)
FIELDS = ("hostname", "ip_address", "ipv6_address")


def seen(data):
    server = None if data is None else Server.from_dict(data)
    return Observation(began=0.0, ended=0.0, server=server)


def take(sightings, data, spellings=KEY):
    return sightings.take(spellings, seen(data))


class TestNews:
    def test_the_first_observation_is_new_and_the_same_again_is_not(self):
        sightings = Sightings()

        first, again = take(sightings, listed(7)), take(sightings, listed(7))

        assert (first[1], again[1]) == (True, False)
        assert first[0] is again[0]

    @pytest.mark.parametrize(
        ("change", "is_new"),
        [
            ({"name": "web-99"}, True),
            ({"hostname": None}, True),
            ({"plan": {"id": 1, "name": "Standard VPS", "vcpus": None, "memory": 4096, "storage": 80}}, True),
            ({"tags": []}, True),
            ({"updated_at": "2025-10-15T12:00:00Z"}, False),
            ({"message": "Being backed up."}, False),
            ({"resource_usage": None}, False),
        ],
        ids=repr,
    )
    def test_one_that_shows_other_facts_is_new(self, change, is_new):
        sightings = Sightings()
        take(sightings, detail(7))

        assert take(sightings, detail(7, **change))[1] is is_new

    @pytest.mark.parametrize(
        ("without", "null"),
        [({"id": 7}, {"id": 7, "hostname": None}), ({"id": 7, "plan": {}}, {"id": 7, "plan": {"vcpus": None}})],
        ids=["a field", "a field of the plan"],
    )
    def test_a_null_is_not_the_same_as_no_field(self, without, null):
        """So that the value that comes next is a change, and not a field that is given for the first time."""
        sightings = Sightings()
        take(sightings, without)

        assert take(sightings, null)[1]

    def test_what_is_not_new_is_the_newest_all_the_same(self):
        sightings = Sightings()
        sighting, _ = take(sightings, detail(7))
        take(sightings, detail(7, updated_at="2025-10-15T12:00:00Z"))

        assert sighting.server.to_dict() == detail(7, updated_at="2025-10-15T12:00:00Z")

    @pytest.mark.parametrize("data", [None, listed(7, status="deleted")], ids=["404", "deleted"])
    def test_one_that_is_gone_is_always_new(self, data):
        sightings = Sightings()
        take(sightings, listed(7))

        assert [take(sightings, data), take(sightings, data)] == [(GONE, True)] * 2
        assert take(sightings, listed(7))[1]

    def test_once_another_id_of_a_server_is_known_all_is_new(self):
        """Watches of either id may have been shown different things."""
        sightings = Sightings()
        take(sightings, listed(7))

        assert take(sightings, listed(7), ("7", "uuid"))[1]

    def test_of_more_servers_than_are_kept_all_is_new(self):
        sightings = Sightings()
        for key in range(CAPACITY + 1):
            take(sightings, {"id": key}, (str(key),))

        assert take(sightings, {"id": 0}, ("0",))[1]
        assert not take(sightings, {"id": CAPACITY}, (str(CAPACITY),))[1]


@attrs.define
class Model:
    """One server as one watch tells it: every observation is compared, and nothing is shared."""

    told: Server | None = None
    told_facts: dict = attrs.field(factory=dict)
    observed: Server | None = None
    facts: dict = attrs.field(factory=dict)
    data: dict = attrs.field(factory=dict)

    def observe(self, server):
        self.observed = server
        if server is not None:
            self.data |= server.to_dict()
            self.observed = Server.from_dict(self.data)
            given = {name: value for name, value in server.to_dict().items() if name != "updated_at"}
            self.told_facts, self.facts = {**given, **self.told_facts}, {**self.facts, **given}

    @property
    def changed(self):
        if self.told is None or self.observed is None:
            return self.told is not self.observed
        return self.facts != self.told_facts

    @property
    def fields(self):
        if self.told is None or self.observed is None:
            return set()
        return {name for name, value in self.facts.items() if value != self.told_facts[name]}

    def tell(self):
        self.told, self.told_facts = self.observed, dict(self.facts)


values = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from([None, "a", "b"]))
shown = st.builds(
    lambda fields, time: {"id": 7, "name": "", "status": "", "updated_at": time, **fields},
    values,
    st.sampled_from(["2025-10-15T12:00:00Z", "2025-10-15T12:00:01Z"]),
)
steps = st.lists(st.tuples(st.one_of(st.none(), shown), st.sets(st.integers(0, 2))), max_size=12)


@given(steps)
def test_watches_that_share_tell_the_same_as_each_would_alone(steps):
    """Three watches, each of which tells its changes whenever it likes, and is shown only what is new."""
    sightings, known, models = Sightings(), [NOTHING] * 3, [Model() for _ in range(3)]
    for data, tellers in steps:
        sighting, is_new = take(sightings, data)
        for one, model in enumerate(models):
            if data is not None or model.observed is not None or model.told is not None:
                model.observe(sighting.server)
            if is_new and (data is not None or known[one] is not NOTHING):
                known[one] = sighting.known_after(known[one])
            if one in tellers and known[one].changed:
                known[one] = known[one].tell()
                model.tell()
            if not known[one].changed and known[one].server is None:
                known[one], models[one] = NOTHING, Model()
        sighting.settle()

        assert [(one.changed, one.told, one.server, one.fields) for one in known] == [
            (model.changed, model.told, model.observed, model.fields) for model in models
        ]


def test_watches_that_know_the_same_share_what_they_know():
    """I5: what is new is compared with it once for all of them."""
    sightings = Sightings()
    known = take(sightings, listed(7))[0].known_after(NOTHING).tell()
    sighting, _ = take(sightings, listed(7, status="stopped"))
    first, second = (sighting.known_after(known) for _ in range(2))

    assert first is second
    assert first.tell() is second.tell()


def test_what_watches_knew_before_is_not_kept():
    """A sighting would keep all that came before it."""
    sightings = Sightings()
    known = take(sightings, listed(7))[0].known_after(NOTHING)
    sighting, _ = take(sightings, listed(7, status="stopped"))
    before = sighting.known_after(known)
    sighting.settle()

    assert sighting.known_after(known) is not before


def test_a_new_watch_shares_what_others_know():
    """Whenever it comes."""
    sighting, _ = take(Sightings(), listed(7))
    early = sighting.known_after(NOTHING)
    sighting.settle()

    assert sighting.known_after(NOTHING) is early
