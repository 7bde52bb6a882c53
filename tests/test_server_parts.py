"""The parts of a server: equal to what they name, frozen, and silent about what may be secret."""

from __future__ import annotations

import typing

import attrs
import pytest

from vpsorg_async._server_parts import OperatingSystem, Plan, ResourceUsage, ServerStatus, StatusName, keys_only


class TestStatus:
    def test_the_names_are_the_members(self):
        assert set(typing.get_args(StatusName)) == {str(status) for status in ServerStatus}

    @pytest.mark.parametrize("status", ServerStatus)
    def test_each_is_equal_to_its_name(self, status):
        assert status == status.value
        assert f"{status}" == status.value
        assert {status.value: 1}[status] == 1


@pytest.mark.parametrize("kind", [Plan, OperatingSystem, ResourceUsage])
class TestParts:
    def test_all_may_be_missing(self, kind):
        part = kind()

        assert [field.name for field in attrs.fields(kind) if getattr(part, field.name) is not None] == ["extra"]

    def test_it_is_frozen(self, kind):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            kind().extra = {}

    def test_its_repr_shows_the_keys_of_what_is_unknown_and_no_value(self, kind):
        shown = repr(kind(extra={"password": "hunter2"}))

        assert "password" in shown
        assert "hunter2" not in shown

    def test_what_is_unknown_takes_part_in_equality_and_not_in_the_hash(self, kind):
        assert kind(extra={"a": 1}) != kind()
        assert hash(kind(extra={"a": 1})) == hash(kind())


def test_keys_alone():
    assert keys_only({"a": 1, "b": "hunter2"}) == "<'a', 'b'>"
