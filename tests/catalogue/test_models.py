"""Datacenters, accounts and what is told of a token: data that can be copied, compared and shown."""

from __future__ import annotations

import copy
import pickle

from datetime import date

import attrs
import pytest

from vpsorg_async import Account, Location, OperatingSystem, Plan, TokenInfo
from vpsorg_async._catalogue import reading


READ = [
    reading.plan({"id": 1, "name": "Standard VPS", "locations": ["us-west"], "price_monthly": 5.0, "new": [1]}),
    reading.location({"id": 1, "code": "us-west", "name": None, "new": [1]}),
    reading.operating_system({"uuid": "a", "name": "Ubuntu", "versions": [{"id": 5, "name": "Ubuntu 22.04 LTS"}]}),
    reading.account({"account": {"email": "a@example.com", "created_at": "2024-06-15"}, "token": {"name": "ci"}}),
]


@pytest.mark.parametrize("model", READ, ids=lambda model: type(model).__name__)
class TestData:
    def test_a_pickle_and_a_copy_are_equal_to_it(self, model):
        for again in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
            assert again == model
            assert again._nulls == model._nulls
            assert type(again) is type(model)
            assert hash(again) == hash(model)

    def test_it_is_frozen(self, model):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            model.extra = {}

    def test_its_repr_shows_the_keys_of_what_is_unknown_and_no_value(self, model):
        shown = repr(attrs.evolve(model, extra={"comment": "hunter2"}))

        assert "comment" in shown
        assert "hunter2" not in shown


@pytest.mark.parametrize("kind", [Account, Location, OperatingSystem, Plan, TokenInfo])
def test_one_that_is_made_without_anything_knows_nothing(kind):
    made = kind()

    assert kind.__module__ == "vpsorg_async"
    told = {getattr(made, field.name) for field in attrs.fields(kind) if field.name != "extra"}
    assert told <= {None, (), TokenInfo()}


def test_they_are_what_was_read():
    plan, location, system, account = READ

    assert plan == Plan(id=1, name="Standard VPS", locations=("us-west",), price_monthly=5.0, extra={"new": [1]})
    assert location == Location(id=1, code="us-west", extra={"new": [1]})
    assert system.versions == (OperatingSystem(id=5, name="Ubuntu 22.04 LTS"),)
    assert account == Account(email="a@example.com", created_at=date(2024, 6, 15), token=TokenInfo(name="ci"))
