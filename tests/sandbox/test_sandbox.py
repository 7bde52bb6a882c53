"""The class Sandbox: its client, its arguments, its accounts and its time."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import time

import anyio
import httpx
import pytest

from tests.helpers import ROOT
from tests.sandbox.conftest import AUTHORIZED
from vpsorg_async import RetryPolicy
from vpsorg_async.sandbox import Call, Sandbox
from vpsorg_async.sandbox._server.in_process import InProcessTransport


pytestmark = pytest.mark.anyio


def slow_seed():
    """Return a seed that makes a create take almost five minutes."""
    return next(
        seed
        for seed in range(1000)
        if 295 < random.Random(f"{seed}/12345/create/0").uniform(120, 300)  # noqa: SIM300
    )


@pytest.mark.parametrize("public", [Sandbox, Call])
def test_a_public_class_is_known_by_its_public_place(public):
    assert f"{public.__module__}.{public.__qualname__}" == f"vpsorg_async.sandbox.{public.__name__}"


def test_a_pickled_call_is_equal_to_the_original():
    call = Call(method="GET", path="/servers/", query={"page": "2"}, json=None, status=200, at=5.0)

    assert pickle.loads(pickle.dumps(call)) == call


class TestClient:
    @pytest.mark.heavy
    async def test_a_wait_of_five_minutes_takes_no_time(self):
        """The fastest of three takes less than 0.2 s of this thread's CPU time."""
        took, real = [], time.perf_counter()
        for _ in range(3):
            sandbox = Sandbox(seed=slow_seed())
            async with sandbox.client() as client:
                server = await client.servers.create(name="a", plan_id=1, os_id=5, location="us-west")
                began = time.thread_time()
                server = await server.wait_until(status="active", timeout=600)
                took.append(time.thread_time() - began)
            assert 295 < sandbox.calls[-1].at < 306

        assert server.ip_address == "203.0.113.10"
        assert min(took) < 0.2
        assert time.perf_counter() - real < 20

    async def test_it_takes_a_client_s_options(self):
        """One of them is the token of another account."""
        sandbox = Sandbox(servers=1)
        sandbox.add_account("vps_other")
        async with sandbox.client(token="vps_other", timeout=5) as client:
            assert await client.servers.list() == []

    @pytest.mark.parametrize("name", ["transport", "proxy", "ssl_context", "allow_http"])
    async def test_it_takes_none_of_the_network_s_options(self, name):
        with pytest.raises(TypeError) as caught:
            Sandbox().client(**{name: None})

        assert str(caught.value) == (
            f"client() does not accept {name}, because this client uses no network; "
            "for that, make a Client of the URL that serve() gives"
        )

    @pytest.mark.parametrize("name", ["clock", "time_out"])
    async def test_what_is_no_option_of_a_client_is_named(self, name):
        with pytest.raises(TypeError) as caught:
            Sandbox().client(**{name: None})

        assert str(caught.value) == f"client() accepts the options of Client, and {name} is not one of them"

    async def test_it_takes_all_the_others(self):
        options = {
            "base_url": "http://localhost/api/v1",
            "timeout": 5,
            "attempt_timeout": 1,
            "retry": RetryPolicy.none(),
            "max_connections": 1,
            "headers": {"X-Trace": "a"},
            "user_agent": "app/1.0",
            "on_event": lambda _event: None,
        }

        async with Sandbox(servers=1).client(**options) as client:
            assert len(await client.servers.list()) == 1

    async def test_there_is_none_while_time_is_real(self):
        """Its waits would end before anything has happened."""
        sandbox = Sandbox()
        async with sandbox.serve():
            with pytest.raises(RuntimeError) as caught:
                sandbox.client()

        assert str(caught.value) == "the sandbox is being served: make a Client of its base URL, or leave serve() first"


REFUSED = [
    ({"servers": -1}, ValueError, "servers=-1: must be 0 or more"),
    ({"servers": 1.0}, TypeError, "servers must be a whole number, not 1.0"),
    ({"servers": True}, TypeError, "servers must be a whole number, not True"),
    ({"credits": -1}, ValueError, "credits=-1: must be 0 or more"),
    ({"credits": "5"}, TypeError, "credits must be a whole number, not '5'"),
    ({"quota": -1}, ValueError, "quota=-1: must be 0 or more"),
    ({"quota": True}, TypeError, "quota must be a whole number, not True"),
    ({"seed": "7"}, TypeError, "seed must be a whole number, not '7'"),
    ({"seed": None}, TypeError, "seed must be a whole number, not None"),
    *(
        (
            {"token": token},
            ValueError,
            "token must be visible ASCII without spaces, and not empty (its value is not shown)",
        )
        for token in ("", "a b", " ", "a\n", "a\x00", "é")
    ),
    ({"token": 7}, TypeError, "token must be a str, not int"),
    ({"token": None}, TypeError, "token must be a str, not NoneType"),
]


class TestArguments:
    @pytest.mark.parametrize(("options", "error", "text"), REFUSED, ids=lambda value: repr(value)[:40])
    async def test_what_cannot_be_is_refused_by_name(self, options, error, text):
        with pytest.raises(error) as caught:
            Sandbox(**options)

        assert str(caught.value) == text

    @pytest.mark.parametrize(
        ("options", "error", "text"),
        [case for case in REFUSED if case[0].keys() <= {"token", "credits", "quota"}],
        ids=lambda value: repr(value)[:40],
    )
    async def test_another_account_s_token_and_credits_too(self, options, error, text):
        with pytest.raises(error) as caught:
            Sandbox().add_account(**{"token": "vps_other", **options})

        assert str(caught.value) == text

    async def test_a_negative_seed_is_one(self):
        assert Sandbox(seed=-1, credits=0, servers=0).servers == []


class TestAccounts:
    async def test_a_token_opens_one_account(self):
        """Contradictory arguments are refused."""
        sandbox = Sandbox()
        with pytest.raises(ValueError) as twice:
            sandbox.add_account("vps_sandbox")
        with pytest.raises(ValueError) as credit:
            sandbox.add_account("vps_reader", credits=5, read_only=True)

        assert str(twice.value) == "this token already opens an account; use another token"
        assert str(credit.value) == "a read-only token uses an existing account: leave out credits and quota"


class TestHammering:
    @pytest.mark.heavy
    async def test_twenty_clients_hammer_one_server(self):
        """X5: during a minute, the table allows every accepted command and every status that a client sees."""
        sandbox = Sandbox(servers=1)
        clock = sandbox._clock
        chance = random.Random(5)
        seen, accepted = [], []

        async def hammer():
            transport = InProcessTransport(sandbox.app, clock)
            async with httpx.AsyncClient(
                base_url="http://localhost/api/v1", headers=AUTHORIZED, transport=transport
            ) as client:
                while clock.now() < 60:
                    name = chance.choice(["start", "stop", "reboot"])
                    if (await client.post(f"/servers/12345/{name}/")).status_code == 200:
                        accepted.append(name)
                    seen.append((clock.now(), (await client.get("/servers/12345/")).json()["status"]))
                    await clock.sleep(chance.uniform(0.1, 3))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(hammer)

        history = history_of(sandbox._backend.accounts[0].log)
        assert len(seen) > 400
        assert [command for _, command, _ in history if command] == accepted
        for at, status in seen:
            assert status in {shown for began, _, shown in history if began == max(b for b, _, _ in history if b <= at)}


def history_of(log):
    """Return the times, commands and statuses of a log, after a check against the documented table."""
    moves = {"start": ("stopped", "starting", "active"), "stop": ("active", "stopping", "stopped")}
    moves["reboot"] = ("active", "rebooting", "active")
    history = [(0.0, None, "active")]
    for event in log[1:]:
        if event.kind == "settled":
            assert history[-1][0] <= event.at
            continue
        name = event.data["command"]
        before, through, after = moves[name]
        assert history[-1][2] == before
        assert history[-1][0] <= event.at
        history += [(event.at, name, through), (event.at + event.data["seconds"], None, after)]
    return history


class TestFrozenClient:
    async def test_freezing_while_served_stops_time_there_too(self):
        """Only `advance` moves it."""
        sandbox = Sandbox(servers=1)
        async with sandbox.serve(speed=1000) as base_url, httpx.AsyncClient(headers=AUTHORIZED) as client:
            sandbox.freeze()
            for _ in range(2):
                await client.get(f"{base_url}/servers/")
            sandbox.advance(7)
            await client.get(f"{base_url}/servers/")

        first, second, third = (call.at for call in sandbox.calls)
        assert (second, third) == (first, first + 7)


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_its_extra_the_import_names_the_remedy(missing):
    script = f"import sys; sys.modules[{missing!r}] = None; import vpsorg_async.sandbox"

    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    remedy = "ModuleNotFoundError: the sandbox needs starlette and uvicorn: pip install 'vpsorg-async[sandbox]'"
    assert result.stderr.splitlines()[-1] == remedy
