"""What several observations say of one server together, and what has changed between two."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail, listed
from vpsorg_async import Server
from vpsorg_async._polling.merging import changed_fields, facts, filled, has_changed


def server(data):
    return Server.from_dict(data)


def fields(before, after):
    return changed_fields(facts(server(before)), facts(server(after)))


class TestFilled:
    def test_what_a_list_leaves_out_is_kept(self):
        newer = listed(7, status="stopped", updated_at="2025-10-15T12:00:00Z")

        merged = filled(server(newer), server(detail(7)))

        assert merged.to_dict() == {**detail(7), **newer, "plan": detail(7)["plan"]}

    def test_one_that_says_all_is_returned_itself(self):
        newer = server(detail(7))

        assert filled(newer, server(listed(7))) is newer

    def test_a_null_is_said(self):
        """And a null that was known is kept as a null."""
        assert filled(server(detail(7, hostname=None)), server(detail(7))).hostname is None
        assert filled(server({"id": 7}), server({"id": 7, "hostname": None})).to_dict()["hostname"] is None

    @pytest.mark.parametrize("name", ["name", "status"])
    def test_a_name_or_status_that_does_not_come_is_kept(self, name):
        """I9: null is no name, and no status, of a server."""
        without = {key: value for key, value in detail(7).items() if key != name}

        for newer in (without, {**without, name: None}, {**without, name: ""}):
            assert filled(server(newer), server(detail(7))).to_dict() == detail(7)
            assert filled(server(newer), server(detail(7, **{name: 5}))).to_dict() == detail(7, **{name: 5})

    def test_a_value_of_an_odd_shape_is_said(self):
        merged = filled(server(detail(7, hostname=5)), server(detail(7)))

        assert (merged.hostname, merged.to_dict()["hostname"]) == (None, 5)

    def test_an_odd_value_that_was_known_does_not_hide_a_good_one(self):
        assert filled(server(listed(7)), server(detail(7, hostname=5))).to_dict()["hostname"] == listed(7)["hostname"]

    def test_unknown_fields_are_kept(self):
        merged = filled(server(listed(7, tags=["new"])), server(detail(7, tags=["old"], zone="b")))

        assert merged.extra == {"tags": ["new"], "zone": "b"}

    def test_a_plan_is_filled_only_from_the_same_plan(self):
        known = {"id": 1, "name": "Standard VPS", "vcpus": 2, "bandwidth": 2048}
        same, other = {"id": 1, "name": "Standard VPS"}, {"id": 2, "name": "Large VPS"}

        assert filled(server({"id": 7, "plan": same}), server({"id": 7, "plan": known})).plan.bandwidth == 2048
        assert filled(server({"id": 7, "plan": other}), server({"id": 7, "plan": known})).plan.bandwidth is None

    def test_addresses_that_a_newer_client_is_told_are_said(self):
        """An empty array in their place says that there is none."""
        known = server({"uuid": "a", "ipv4_addresses": ["192.0.2.1"]})

        assert filled(server({"uuid": "a"}), known).ip_address == "192.0.2.1"
        assert filled(server({"uuid": "a", "ipv4_addresses": []}), known).ip_address is None

    def test_a_password_stays_with_the_response_that_had_it(self):
        newer, older = server(listed(7, password="hunter2")), server(detail(7, password="old"))

        assert filled(newer, older).password == "hunter2"
        assert filled(server(listed(7)), older).password is None

    def test_neither_is_changed(self):
        newer, older = server(listed(7)), server(detail(7))
        filled(newer, older)

        assert (newer.to_dict(), older.to_dict()) == (listed(7), detail(7))


class TestChangedFields:
    @pytest.mark.parametrize(
        ("after", "names"),
        [
            ({}, set()),
            ({"status": "stopped", "hostname": None}, {"status", "hostname"}),
            ({"plan": {**detail(7)["plan"], "memory": 1}}, {"plan"}),
            ({"plan": None}, {"plan"}),
            ({"tags": ["new"], "a.b": 2}, {"tags", "a.b"}),
            ({"updated_at": "2025-10-15T12:00:00Z", "message": "x", "resource_usage": None}, set()),
        ],
        ids=["nothing", "two", "of the plan", "the plan", "unknown ones", "what differs all the time"],
    )
    def test_it_names_what_both_give(self, after, names):
        before = {"tags": [], "a.b": 1}

        assert fields(detail(7, **before), detail(7, **{**before, **after})) == names

    def test_a_field_that_one_of_them_lacks_has_not_changed(self):
        assert fields(listed(7), detail(7)) == fields(detail(7), listed(7)) == frozenset()


values = st.dictionaries(st.sampled_from(["hostname", "ip_address", "zone", "os"]), st.sampled_from([None, "a", 5]))
plans = st.one_of(st.none(), st.fixed_dictionaries({}, optional={"id": st.integers(1, 2), "vcpus": st.integers(1, 2)}))
data = st.builds(
    lambda rest, plan: {"id": 7, "name": "", "status": "", **rest, **plan},
    values,
    st.one_of(st.just({}), st.fixed_dictionaries({"plan": plans})),
)


@given(data, data)
def test_what_the_newer_one_says_is_never_changed(newer, older):
    """I9: and what only the older one says is kept, but for a plan that is another one."""
    merged = filled(server(newer), server(older)).to_dict()

    for name, value in newer.items():
        assert merged[name] == value or (name == "plan" and merged[name].items() >= value.items())
    assert merged.keys() == newer.keys() | older.keys()


@given(data, data)
def test_nothing_has_changed_where_no_field_is_named(before, after):
    one, other = facts(server(before)), facts(server(after))

    assert has_changed(one, other) == bool(changed_fields(one, other))
