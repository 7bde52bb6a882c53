"""What a name finds: names, slugs, codes and versions; several of them are an error."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import AmbiguousNameError, Location, OperatingSystem, Plan
from vpsorg_async._catalogue.naming import may_be_named, named, with_names, with_version_names


PLANS = [Plan(id=1, name="Standard VPS", slug="standard"), Plan(id=2, name="starter", slug="mini"), Plan(id=3)]
LOCATIONS = [Location(id=1, code="us-west", name="US West"), Location(code="eu", name="Europe")]
SYSTEMS = [
    OperatingSystem(
        id="d", name="Debian", versions=(OperatingSystem(id=3, name="12"), OperatingSystem(id=4, name="Debian 13"))
    ),
    OperatingSystem(id="f", name="FreeBSD", versions=(OperatingSystem(id=9, name="FreeBSD"),)),
    OperatingSystem(id="a", name="Alpine", versions=(OperatingSystem(name="3.20"),)),
    OperatingSystem(id=5, name="Ubuntu", extra={"version": "22.04"}),
    OperatingSystem(id=6, name="Ubuntu", extra={"version": "24.04", "slug": "noble"}),
]


class TestNames:
    @pytest.mark.parametrize(
        ("name", "plan_id"), [("Standard VPS", 1), ("standard", 1), ("starter", 2), ("mini", 2), ("Standard", None)]
    )
    def test_a_plan_has_a_name_and_a_slug(self, name, plan_id):
        found = named(with_names(PLANS), name, path="/plans/")

        assert (found and found.id) == plan_id

    @pytest.mark.parametrize(
        ("name", "code"), [("us-west", "us-west"), ("US West", "us-west"), ("Europe", "eu"), ("", None)]
    )
    def test_a_datacenter_has_a_name_and_a_code(self, name, code):
        found = named(with_names(LOCATIONS), name, path="/locations/")

        assert (found and found.code) == code

    @pytest.mark.parametrize(
        ("name", "system_id"),
        [
            ("12", 3),
            ("Debian 12", 3),
            ("Debian 13", 4),
            ("Debian Debian 13", 4),
            ("Debian", "d"),
            ("FreeBSD", 9),
            ("3.20", "a"),
            ("Alpine 3.20", "a"),
            ("22.04", 5),
            ("Ubuntu 24.04", 6),
            ("noble", 6),
            ("Fedora", None),
        ],
    )
    def test_a_system_has_versions(self, name, system_id):
        """A version that has an id is found in the place of its system: a create takes it."""
        found = named(with_version_names(SYSTEMS), name, path="/operating-systems/")

        assert (found and found.id) == system_id


class TestAmbiguity:
    def test_several_are_an_error_that_names_them(self):
        with pytest.raises(AmbiguousNameError) as caught:
            named(with_version_names(SYSTEMS), "Ubuntu", path="/operating-systems/")

        assert str(caught.value) == "2 operating systems are named 'Ubuntu': 5, 6"
        assert caught.value.ids == (5, 6)
        assert caught.value.request_summary == "GET /operating-systems/"

    def test_the_slug_of_one_and_the_name_of_another_are_several(self):
        plans = [Plan(id=1, name="starter"), Plan(id=2, slug="starter")]

        with pytest.raises(AmbiguousNameError):
            named(with_names(plans), "starter", path="/plans/")

    def test_the_same_one_twice_is_one(self):
        """A list may show it on two pages."""
        assert named(with_names([PLANS[0], PLANS[0]]), "standard", path="/plans/") == PLANS[0]

    def test_datacenters_without_an_id_are_told_apart_by_their_codes(self):
        with pytest.raises(AmbiguousNameError) as caught:
            named(with_names([Location(code="a", name="X"), Location(code="b", name="X")]), "X", path="/locations/")

        assert caught.value.ids == ("a", "b")

    @given(st.lists(st.sampled_from(PLANS)), st.text(max_size=3) | st.sampled_from(["standard", "starter", "mini"]))
    def test_what_is_found_has_the_name(self, plans, name):
        found = named(with_names(plans), name, path="/plans/")

        assert (found is None) == all(name not in (plan.name, plan.slug) for plan in plans)
        assert found is None or name in (found.name, found.slug)


@pytest.mark.parametrize(
    ("item", "named_so"),
    [
        *(({field: "a"}, True) for field in ("name", "slug", "code", "version")),
        *((item, False) for item in ({"id": "a"}, {"name": ["a"]}, [], None, "a")),
    ],
)
def test_whether_a_malformed_item_may_be_meant(item, named_so):
    assert may_be_named(item, "a") is named_so
