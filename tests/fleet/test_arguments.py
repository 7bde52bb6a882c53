"""What a fleet cannot be made from, or run with: refused at once, with the remedy, and nothing is sent."""

from __future__ import annotations

import pytest

from tests.helpers import detail
from tests.helpers_api import client_of
from tests.helpers_fleet import specs
from vpsorg_async import Server, ServerSpec
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

IDS = list(range(10))


@pytest.fixture
def client():
    """Return a client without network."""
    return Sandbox().client()


BAD_OPTIONS = [
    ({"at_once": 0}, ValueError, "at_once=0: give 1 or more"),
    ({"at_once": -1}, ValueError, "at_once=-1: give 1 or more"),
    ({"at_once": True}, TypeError, "at_once takes a whole number, not True"),
    ({"at_once": 2.0}, TypeError, "at_once takes a whole number, not 2.0"),
    ({"at_once": None}, TypeError, "at_once takes a whole number, not None"),
    (
        {"tolerate": True},
        TypeError,
        "tolerate takes a number of items (int), a share of them (float) or None, not True",
    ),
    (
        {"tolerate": "5%"},
        TypeError,
        "tolerate takes a number of items (int), a share of them (float) or None, not '5%'",
    ),
    ({"tolerate": 1.5}, ValueError, "tolerate=1.5 is a share of all items: give 0.0 to 1.0, or an int to count"),
    ({"tolerate": -0.1}, ValueError, "tolerate=-0.1 is a share of all items: give 0.0 to 1.0, or an int to count"),
    (
        {"tolerate": float("nan")},
        ValueError,
        "tolerate=nan is a share of all items: give 0.0 to 1.0, or an int to count",
    ),
    ({"tolerate": -1}, ValueError, "tolerate=-1: give 0 or more"),
    ({"timeout": -1}, ValueError, None),
    ({"timeout": "1"}, TypeError, None),
    ({"on_outcome": 7}, TypeError, "on_outcome must be a function, plain or async, not 7"),
    ({"progress": "bar"}, TypeError, "progress must be a function, plain or async, not 'bar'"),
    ({"tolerat": 0}, TypeError, None),
    ({"poll": 5}, TypeError, "poll must be a PollPolicy, not 5"),
    ({"stop_on": None}, TypeError, "stop_on takes classes of exceptions, or () for none, not None"),
    ({"stop_on": 401}, TypeError, "stop_on takes classes of exceptions, or () for none, not 401"),
    ({"stop_on": "401"}, TypeError, "stop_on takes classes of exceptions, or () for none, not '401'"),
    ({"stop_on": [401]}, TypeError, "stop_on takes classes of exceptions, such as NotFoundError, not 401"),
    (
        {"stop_on": (ValueError, KeyboardInterrupt)},
        TypeError,
        f"stop_on takes classes of exceptions, such as NotFoundError, not {KeyboardInterrupt!r}",
    ),
    ({"stop_on": BaseException}, TypeError, None),
]
SERVER = Server.from_dict(detail(7))


class TestBadArguments:
    @pytest.mark.parametrize(("options", "kind", "text"), BAD_OPTIONS)
    async def test_of_every_method(self, client, options, kind, text):
        fleet = client.fleet(IDS)
        makers = [fleet.start, fleet.stop, fleet.reboot, fleet.delete]
        makers += [lambda **given: fleet.update(name="a", **given), lambda **given: fleet.apply(print, **given)]
        makers += [lambda **given: fleet.wait_until(status="active", **given)]
        makers += [lambda **given: client.fleet.create(specs(1), **given)]

        for make in makers:
            with pytest.raises(kind) as caught:
                make(**options)
            assert text in (str(caught.value), None)

    @pytest.mark.parametrize("given", ["web-01", b"1", 7, None, SERVER])
    async def test_what_is_not_several_servers(self, client, given):
        with pytest.raises(TypeError) as caught:
            client.fleet(given)

        assert str(caught.value) == (
            f"fleet() takes several servers or ids, not {type(given).__name__}: give a list, or await one first"
        )

    async def test_a_list_that_was_not_awaited(self, client):
        with pytest.raises(TypeError) as caught:
            client.fleet(client.servers.list())

        assert str(caught.value) == (
            "fleet() takes several servers or ids, not ServerList: give a list, or await one first"
        )

    @pytest.mark.parametrize(
        ("items", "kind"), [([7, None], TypeError), ([True], TypeError), (["1/../2"], ValueError), ([-1], ValueError)]
    )
    async def test_an_item_that_cannot_be(self, client, items, kind):
        with pytest.raises(kind):
            client.fleet(items)

    async def test_of_the_methods_own(self, client):
        fleet = client.fleet(IDS)

        for make, kind, text in [
            (fleet.update, TypeError, "update() needs at least one of name, hostname and backups_enabled"),
            (
                lambda: fleet.update(name="a b"),
                ValueError,
                "name='a b': give letters, digits and hyphens, at least one",
            ),
            (lambda: fleet.apply(7), TypeError, "function must be callable with a server or an id, not 7"),
            (lambda: fleet.wait_until(status=()), ValueError, "status is empty: give at least one status to wait for"),
            (lambda: fleet.wait_until(status="active", poll=1), TypeError, "poll must be a PollPolicy, not 1"),
        ]:
            with pytest.raises(kind) as caught:
                make()
            assert str(caught.value) == text
        with pytest.raises(ValueError, match="the seven are"):
            fleet.wait_until(status="actve")

    @pytest.mark.parametrize("given", [specs(1)[0], "app-0", None])
    async def test_what_is_not_several_specs(self, client, given):
        with pytest.raises(TypeError) as caught:
            client.fleet.create(given)

        assert str(caught.value) == (
            f"fleet.create() takes several ServerSpecs, not {type(given).__name__}: give a list, or await one first"
        )

    async def test_the_method_that_was_called_is_named(self, client):
        with pytest.raises(TypeError, match=r"^fleet\.ensure\(\) takes ServerSpecs, not 3$"):
            client.fleet.ensure([3])
        with pytest.raises(TypeError, match=r"^fleet\.preview\(\) takes several ServerSpecs, not NoneType"):
            await client.fleet.preview(None)

    @pytest.mark.parametrize(
        ("bad", "kind", "text"),
        [
            (SERVER.name, TypeError, "fleet.create() takes ServerSpecs, not 'web-01'"),
            (
                specs(1)[0],
                ValueError,
                "two specs have the name 'app-0': a lost response could not be told from the other's",
            ),
            (
                ServerSpec(name="a b", plan_id=1, os_id=5, location="us-west"),
                ValueError,
                "name='a b': give letters, digits and hyphens, at least one",
            ),
            (
                ServerSpec(name="a", plan_id=True, os_id=5, location="us-west"),
                TypeError,
                "plan_id must be an int or a str, not True",
            ),
        ],
    )
    async def test_a_bad_spec_among_good_ones_sends_nothing(self, server, bad, kind, text):
        async with client_of(server) as client:
            with pytest.raises(kind) as caught:
                client.fleet.create([*specs(3), bad])

        assert str(caught.value) == text
        assert server.requests == []
