"""The arguments of `DurableFleets`: what is refused before anything is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.durable.parts import TOKEN, store_in
from tests.processes import ran
from vpsorg_async import Client, ConfigurationError, InvalidArgumentError
from vpsorg_async.durable import DurableFleets
from vpsorg_async.sandbox import Sandbox


def of(client: Any, folder: Path, **options: Any) -> DurableFleets:
    return DurableFleets(client, **{"store": store_in(folder), "worker": "m1", **options})


@pytest.fixture
def client() -> Client:
    """Return a client that nothing is sent by."""
    return Client(TOKEN, base_url="http://127.0.0.1:1/api/v1")


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"worker": ""}, InvalidArgumentError),
            ({"worker": "a/b"}, InvalidArgumentError),
            ({"worker": None}, TypeError),
            ({"settle": -1}, InvalidArgumentError),
            ({"settle": None}, TypeError),
            ({"settle": "60"}, TypeError),
            ({"settle": float("nan")}, InvalidArgumentError),
            ({"on_ambiguous": "again"}, InvalidArgumentError),
            ({"use_existing": 1}, TypeError),
            ({"store": "mysql://me:zq@host/db"}, ConfigurationError),
            ({"store": None}, TypeError),
        ],
    )
    def test_what_cannot_be_used_is_refused_at_once(self, client, tmp_path, options, error):
        with pytest.raises(error) as caught:
            of(client, tmp_path, **options)

        assert "zq" not in str(caught.value)
        assert [*tmp_path.iterdir()] == []

    @pytest.mark.parametrize("given", [None, TOKEN, Client])
    def test_it_takes_a_client(self, tmp_path, given):
        with pytest.raises(TypeError, match="takes a Client"):
            of(given, tmp_path)

    def test_a_client_whose_time_runs_away_is_refused(self, tmp_path):
        with pytest.raises(ConfigurationError, match=r"serve\(\) the sandbox"):
            of(Sandbox().client(), tmp_path)

    def test_its_repr_has_no_password(self, client):
        fleets = DurableFleets(client, store="postgresql://me:zqsecret@host/db", worker="m1")

        assert repr(fleets) == "<DurableFleets 'postgresql://me@host/db', worker 'm1'>"

    def test_dbos_is_not_imported_before_it_is_needed(self, tmp_path):
        code = (
            "import sys\n"
            "from vpsorg_async import Client\n"
            "from vpsorg_async.durable import DurableFleets\n"
            f"DurableFleets(Client('t'), store='sqlite:///{tmp_path}/a', worker='m1')\n"
            "print('dbos' in sys.modules, 'sqlalchemy' in sys.modules)\n"
        )
        found = ran("-c", code)

        assert found.stdout == "False False\n"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [("trio", {})], ids=["trio"])
async def test_it_says_that_it_needs_asyncio(anyio_backend, client, tmp_path):
    with pytest.raises(ConfigurationError, match="need asyncio"):
        async with of(client, tmp_path):
            raise AssertionError("it was entered")

    assert [*tmp_path.iterdir()] == []
