"""Plans, datacenters, systems and accounts are read in both shapes, whatever else is in them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import Account, Location, OperatingSystem, Plan, ResponseError, TokenInfo
from vpsorg_async._catalogue import reading
from vpsorg_async._decoding import dump_nested
from vpsorg_async._secrets import without_secrets


DOCUMENTED = {
    "id": 1,
    "name": "Starter VPS",
    "slug": "starter",
    "vcpus": 1,
    "memory": 2048,
    "storage": 40,
    "bandwidth": 1024,
    "price_monthly": 5.00,
    "price_hourly": 0.007,
    "available": True,
    "locations": ["us-west", "us-east", "eu-central"],
    "description": "For small sites.",
}
AS_VPS_MCP = {
    "uuid": "9b2f",
    "name": "2 GB",
    "ram": 2,
    "ram_unit": "GB",
    "cpu": 1,
    "cpu_type_name": "shared",
    "disk_space": 40,
    "transfer": 1024,
    "monthly_price": "5.00",
    "hourly_price": "0.007",
}
KEYS = st.sampled_from(
    [
        *DOCUMENTED,
        *AS_VPS_MCP,
        *("code", "country_name", "is_active", "versions", "version", "account", "token", "email", "created_at"),
        *("permissions", "first_name", "_nulls", "extra", "password", "api_key"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("2024-06-15"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=2), inner, max_size=5),
    max_leaves=15,
)
READERS = [reading.plan, reading.location, reading.operating_system, reading.account]


def has_all(versions, kept):
    """Return whether *versions* are *kept*, each with an `id` more if it had none that is usable."""
    return len(versions) == len(kept) and all(
        repr(one | {"id": None}) == repr({**one, **other} | {"id": None})
        for one, other in zip(versions, kept, strict=True)
    )


def read_or_none(read, data):
    try:
        return read(data)
    except ValueError:
        return None


def refused(read, data):
    with pytest.raises(ValueError) as caught:
        read(data)
    return str(caught.value)


class TestPlans:
    def test_the_documented_shape(self):
        plan = reading.plan(DOCUMENTED)

        assert plan == Plan(**{**DOCUMENTED, "locations": ("us-west", "us-east", "eu-central")})
        assert dump_nested(plan) == DOCUMENTED

    def test_the_shape_of_vps_mcp(self):
        """What it is made of stays in `extra`."""
        plan = reading.plan(AS_VPS_MCP)

        assert plan == Plan(
            id="9b2f",
            name="2 GB",
            vcpus=1,
            memory=2048,
            storage=40,
            bandwidth=1024,
            price_monthly=5.0,
            price_hourly=0.007,
            extra={key: value for key, value in AS_VPS_MCP.items() if key != "name"},
        )

    @pytest.mark.parametrize(
        ("data", "memory"),
        [
            ({"ram": 512, "ram_unit": "MB"}, 512),
            ({"ram": "4", "ram_unit": "gb"}, 4096),
            ({"ram": 1.5, "ram_unit": "GB"}, 1536),
            ({"ram": 1, "ram_unit": "TB"}, 1048576),
            ({"ram": 4}, None),
            ({"ram": 4, "ram_unit": "sticks"}, None),
            ({"ram": 4, "ram_unit": None}, None),
            ({"ram": True, "ram_unit": "GB"}, None),
            ({"ram": -4, "ram_unit": "GB"}, None),
            ({"ram": 10**400, "ram_unit": "GB"}, None),
            ({"ram": float("inf"), "ram_unit": "GB"}, None),
            ({"ram": float("nan"), "ram_unit": "GB"}, None),
            ({"memory": 1024, "ram": 4, "ram_unit": "GB"}, 1024),
        ],
    )
    def test_memory_is_in_megabytes(self, data, memory):
        assert reading.plan({"id": 1, **data}).memory == memory

    @pytest.mark.parametrize(
        ("price", "read"),
        [
            (5, 5.0),
            (0, 0.0),
            ("5.00", 5.0),
            (None, None),
            ("", None),
            ("free", None),
            ("1e3", None),
            ("nan", None),
            ("-5", None),
            (True, None),
            ([5], None),
        ],
    )
    @pytest.mark.parametrize("name", ["price_monthly", "monthly_price"])
    def test_a_price_is_a_number_or_a_text_of_one(self, name, price, read):
        """It is written as it came."""
        plan = reading.plan({"id": 1, name: price})

        assert plan.price_monthly == read
        assert dump_nested(plan)[name] == price

    @pytest.mark.parametrize(
        ("locations", "codes"),
        [
            ([], ()),
            ([{"code": "us-west", "name": "US West"}, {"slug": "eu"}], ("us-west", "eu")),
            (["us-west", {"code": "eu"}], ("us-west", "eu")),
            (["us-west", {"id": 7}], None),
            ([1, 2], None),
            ("us-west", None),
        ],
    )
    def test_its_datacenters_are_codes(self, locations, codes):
        plan = reading.plan({"id": 1, "locations": locations})

        assert plan.locations == codes
        assert dump_nested(plan)["locations"] == locations

    def test_one_without_a_usable_id_is_malformed(self):
        assert refused(reading.plan, {"name": "Starter VPS", "id": None}) == "no usable id"

    @pytest.mark.parametrize(
        ("plan", "code", "there"),
        [
            (Plan(locations=("us-west",)), "us-west", True),
            (Plan(locations=("us-west",)), "US-West", True),
            (Plan(locations=("us-west",)), "us-east", False),
            (Plan(locations=()), "us-east", False),
            (Plan(), "us-east", True),
        ],
    )
    def test_whether_it_is_at_a_datacenter(self, plan, code, there):
        """One that does not tell may be there."""
        assert reading.has_location(code)(plan) is there


class TestLocations:
    def test_the_shape_of_vps_mcp(self):
        data = {"id": 1, "name": "US West", "country_name": "United States", "country_code": "US", "is_active": True}

        assert reading.location(data) == Location(**data)

    def test_it_may_have_a_code_and_no_id(self):
        assert reading.location({"slug": "us-west"}) == Location(code="us-west", extra={"slug": "us-west"})
        assert reading.location({"uuid": "a", "code": "us-west"}).id == "a"
        assert refused(reading.location, {"name": "US West", "slug": ""}) == "no usable id"


class TestSystems:
    def test_versions_are_systems_with_an_id(self):
        """The documented id is the one that a create takes."""
        data = {"uuid": "a", "name": "Debian", "versions": [{"id": 3, "uuid": "b", "name": "12"}, {"uuid": "c"}, {}]}

        system = reading.operating_system(data)

        assert (system.id, system.name) == ("a", "Debian")
        assert [(version.id, version.name) for version in system.versions] == [(3, "12"), ("c", None), (None, None)]
        assert dump_nested(system)["versions"] == [data["versions"][0], {"id": "c", "uuid": "c"}, {}]

    @pytest.mark.parametrize("versions", [None, "13", {"a": 1}, 7, ["12"], [{"id": 3}, None]])
    def test_odd_versions_are_none(self, versions):
        system = reading.operating_system({"id": 5, "versions": versions})

        assert system.versions is None
        assert dump_nested(system)["versions"] == versions

    def test_one_without_any_usable_id_is_malformed(self):
        """The ids of its versions are enough."""
        assert refused(reading.operating_system, {"name": "Debian", "versions": ["12"]}) == "no usable id"
        assert reading.operating_system({"versions": [{"id": 3}]}).versions == (OperatingSystem(id=3),)


class TestAccount:
    def test_the_documented_shape(self):
        data = {
            "account": {
                "email": "jane@example.com",
                "first_name": "Jane",
                "last_name": "Doe",
                "company_name": "Example Inc.",
                "created_at": "2024-06-15",
                "plan": "business",
            },
            "token": {"name": "ci", "permissions": ["servers:read", "dns:*"], "expires_at": None},
            "limits": {"servers": 10},
        }

        assert reading.account(data) == Account(
            email="jane@example.com",
            first_name="Jane",
            last_name="Doe",
            company_name="Example Inc.",
            created_at=date(2024, 6, 15),
            token=TokenInfo(name="ci", permissions=("servers:read", "dns:*"), extra={"expires_at": None}),
            extra={"limits": {"servers": 10}, "plan": "business"},
        )

    @pytest.mark.parametrize(
        ("text", "day"),
        [
            ("2024-06-15", date(2024, 6, 15)),
            ("2024-06-15T10:30:00+02:00", datetime(2024, 6, 15, 8, 30, tzinfo=UTC)),
            ("2024-02-30", None),
            ("20240615", datetime(2024, 6, 15, tzinfo=UTC)),
            ("yesterday", None),
            (7, None),
        ],
    )
    def test_its_day(self, text, day):
        account = reading.account({"account": {"created_at": text}})

        assert account.created_at == day
        assert type(account.created_at) is type(day)
        assert account.extra == ({} if day else {"created_at": text})

    def test_no_secret_of_it_is_kept(self):
        """Wherever it may be: the token is nobody's to see."""
        secret = "vps_hunter2"
        data = {
            "account": {"email": "a@example.com", "token": secret, "api_key": secret, "more": {"password": secret}},
            "token": {"name": "ci", "token": secret, "key": secret, "value": secret, "more": {"secret": secret}},
            "access_token": secret,
        }

        account = reading.account(data)

        assert secret not in str(attrs.asdict(account))
        assert secret not in str(attrs.asdict(reading.account({"token": secret})))
        assert account.token.extra == {"more": {}}

    @pytest.mark.parametrize("token", [{}, None, "x", [], {"permissions": "all"}, {"permissions": [1]}])
    def test_without_permissions_it_has_none(self, token):
        assert reading.account({"account": {}, "token": token}).token.permissions == ()

    def test_it_may_be_flat(self):
        assert reading.account({"email": "a@example.com", "account": 7}) == Account(
            email="a@example.com", extra={"account": 7}
        )


class TestAll:
    @pytest.mark.parametrize("read", READERS)
    @pytest.mark.parametrize(("data", "kind"), [([], "an array"), (None, "null"), ("us-west", "a string")])
    def test_what_is_no_object_is_malformed(self, read, data, kind):
        assert refused(read, data) == f"no object but {kind}"

    @given(data=st.dictionaries(KEYS | st.text(max_size=2), JSON, max_size=8), read=st.sampled_from(READERS))
    def test_anything_is_read_or_malformed_for_want_of_an_id(self, data, read):
        """What is read can be hashed, compared and shown; the data are left as they are."""
        before, found = repr(data), read_or_none(read, data)
        if found is None:
            assert refused(read, data) == "no usable id"
            return

        assert repr(data) == before
        assert hash(found) == hash(read(data))
        assert repr(found)

    @given(data=st.dictionaries(KEYS, JSON, max_size=8), read=st.sampled_from(READERS[:3]))
    def test_nothing_is_lost_but_secrets(self, data, read):
        """What the other shape gives is written under both names, as the id of a version may be."""
        written = dump_nested(read({**data, "id": 7}))
        kept = without_secrets({**data, "id": 7})

        assert written.keys() >= kept.keys()
        for name, value in kept.items():
            if value is None:
                continue
            # By their text, as a float may be no number, which is equal to nothing.
            assert repr(written[name]) == repr(value) or (name == "versions" and has_all(written[name], value))


class TestItems:
    def test_a_malformed_item_is_an_error_that_names_its_place(self):
        with pytest.raises(ResponseError) as caught:
            reading.items([{"id": 1}, {"name": "a"}], reading.plan, path="/plans/")

        assert str(caught.value) == "GET /plans/: item 1 of the list: no usable id"
        assert caught.value.request_summary == "GET /plans/"

    def test_one_that_nobody_wants_is_left_out(self):
        """Others are not."""
        skip = lambda item: item["name"] == "a"  # noqa: E731 -- short

        assert reading.items([{"name": "a"}, {"id": 1}], reading.plan, path="/plans/", skip=skip) == [Plan(id=1)]
        with pytest.raises(ResponseError):
            reading.items([{"name": "b"}], reading.plan, path="/plans/", skip=skip)
