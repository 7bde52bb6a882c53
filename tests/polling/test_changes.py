"""`ServerChange`: its kind, its server and the fields that changed, from the two servers alone."""

from __future__ import annotations

import copy
import pickle

import pytest

from tests.helpers import detail, listed
from vpsorg_async import InvalidArgumentError, Server, ServerChange
from vpsorg_async._polling.changes import change_of


OLD, NEW = Server.from_dict(detail(7)), Server.from_dict(listed(7, status="stopped"))


@pytest.mark.parametrize(
    ("before", "after", "kind", "server", "fields"),
    [
        (None, NEW, "appeared", NEW, set()),
        (OLD, NEW, "changed", NEW, {"status"}),
        (OLD, None, "gone", OLD, set()),
    ],
)
def test_it_tells_what_has_happened(before, after, kind, server, fields):
    change = ServerChange(before, after)

    assert (change.kind, change.server, change.fields) == (kind, server, fields)
    assert isinstance(change.fields, frozenset)


def test_one_without_a_server_says_so():
    with pytest.raises(InvalidArgumentError) as raised:
        _ = ServerChange(None, None).server

    assert str(raised.value) == "a ServerChange needs a server: before, after or both"


def test_a_watch_may_know_of_more_fields():
    """A copy and a pickle know them too, and they take no part in equality."""
    change = change_of(OLD, NEW, frozenset({"status", "ipv6_address"}))

    for one in (change, copy.deepcopy(change), pickle.loads(pickle.dumps(change))):
        assert one.fields == {"status", "ipv6_address"}
        assert one == ServerChange(OLD, NEW)
    assert "_fields" not in repr(change)
