"""The class Sandbox: its client, its arguments, its accounts and its time."""

from __future__ import annotations

import pickle
import random
import time
import typing

import anyio
import httpx
import pytest

from tests.processes import ran
from tests.sandbox.conftest import AUTHORIZED, SECOND
from vpsorg_async import RetryPolicy
from vpsorg_async.sandbox import Call, Sandbox
from vpsorg_async.sandbox._server.in_process import InProcessTransport
from vpsorg_async.sandbox.faults import Fault


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


@pytest.mark.parametrize("public", [Sandbox, Call])
def test_the_type_hints_of_a_public_class_resolve(public):
    assert isinstance(typing.get_type_hints(public), dict)


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
    ({"servers": 100_001}, ValueError, "servers must be from 0 to 100000"),
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


class TestSetStatus:
    async def test_a_wait_and_a_watch_see_it_at_its_time(self):
        """X8: it is something that no command does; `after` counts on the sandbox's clock."""
        sandbox, seen = Sandbox(servers=2), []
        async with sandbox.client() as client:
            began = sandbox._clock.now()
            sandbox.set_status(12345, "suspended", after=600)
            sandbox.set_status(12346, "migrating", after=5)

            server = await client.servers.wait_until(12345, status="suspended", on_change=seen.append)

        assert (server.status, [one.status for one in seen]) == ("suspended", ["active", "suspended"])
        assert began + 600 <= sandbox._clock.now() <= began + 606
        assert sandbox.servers[1]["status"] == "migrating"

    async def test_a_watch_tells_of_it(self):
        """X8: also of a status that is set while it watches."""
        sandbox = Sandbox(servers=1)
        async with sandbox.client() as client:
            watch = client.servers.watch()
            sandbox.set_status(12345, "suspended", after=20)
            _, change = [await anext(watch) for _ in range(2)]

        assert (change.before.status, change.after.status) == ("active", "suspended")

    async def test_while_time_is_frozen_only_advance_brings_it(self):
        """X8: without `after`, it is there at once."""
        sandbox = Sandbox(servers=2)
        sandbox.freeze()
        sandbox.set_status("12345", "stopped")
        sandbox.set_status(SECOND, "stopped", after=10)

        before = [server["status"] for server in sandbox.servers]
        sandbox.advance(10)

        assert before == ["stopped", "active"]
        assert [server["status"] for server in sandbox.servers] == ["stopped", "stopped"]

    async def test_it_goes_by_the_clock_that_is_served(self):
        """X8: and goes on by the other clock when the sandbox is no longer served."""
        sandbox = Sandbox(servers=1)
        async with sandbox.serve() as base_url, httpx.AsyncClient(base_url=base_url, headers=AUTHORIZED) as api:
            sandbox.freeze()
            sandbox.set_status(12345, "suspended", after=10)
            sandbox.advance(9)
            seen = (await api.get("/servers/12345/")).json()["status"]
        sandbox.advance(1)

        assert (seen, sandbox.servers[0]["status"]) == ("active", "suspended")

    async def test_it_is_a_server_of_any_account_and_a_deleted_one_stays_so(self):
        """X8: a `Server` names itself."""
        sandbox = Sandbox()
        sandbox.add_account("vps_other")
        async with sandbox.client(token="vps_other") as client:
            server = await client.servers.create(name="a", plan_id=1, os_id=5, location="us-west")
            sandbox.set_status(server, "suspended")
            sandbox.set_status(server, "active", after=10)
            seen = await client.servers.get(server)
            await client.servers.delete(server)
            sandbox.advance(20)

        assert (seen.status, sandbox.servers) == ("suspended", [])

    async def test_a_file_keeps_it(self, tmp_path):
        """X8: also one that is still to come."""
        sandbox = Sandbox(servers=2, state=tmp_path / "state")
        sandbox.freeze()
        sandbox.set_status(12345, "suspended")
        sandbox.set_status(12346, "stopped", after=5)

        again = Sandbox(state=tmp_path / "state")
        again.freeze()
        again.advance(5)

        assert [server["status"] for server in again.servers] == ["suspended", "stopped"]

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ((7, "active"), ValueError, "server_id='7': the sandbox has no such server"),
            (("web-server-01", "active"), ValueError, "server_id='web-server-01': the sandbox has no such server"),
            ((True, "active"), TypeError, "server_id must be an int, a str or a Server, not True"),
            ((None, "active"), TypeError, "server_id must be an int, a str or a Server, not None"),
            ((12345, None), TypeError, "status must be a str, not None"),
            ((12345, ""), ValueError, "status='' is empty: give a status such as 'suspended'"),
            ((12345, "active", None), TypeError, "after must be a number, not None"),
            ((12345, "active", True), TypeError, "after must be a number, not True"),
            *(
                (
                    (12345, "active", after),
                    ValueError,
                    f"after={after!r} must be a finite number of at least 0; time never goes back",
                )
                for after in (-1, float("nan"), float("inf"))
            ),
        ],
    )
    async def test_what_cannot_be_is_refused_by_name(self, arguments, error, text):
        """X8: nothing is changed then."""
        sandbox = Sandbox(servers=1)
        before = sandbox.servers

        with pytest.raises(error) as caught:
            sandbox.set_status(*arguments)

        assert (str(caught.value), sandbox.servers) == (text, before)


class TestSleep:
    async def test_code_that_polls_by_itself_takes_no_real_time(self):
        """X8: the sleep is on the sandbox's clock, as the client's are."""
        sandbox = Sandbox(servers=1)
        async with sandbox.client() as client:
            began = sandbox._clock.now()
            sandbox.set_status(12345, "stopped", after=3600)
            while (await client.servers.get(12345)).status != "stopped":
                await sandbox.sleep(30)

        assert sandbox._clock.now() == began + 3600

    async def test_while_time_is_frozen_it_ends_with_advance(self):
        """X8: and not before."""
        sandbox, ended = Sandbox(), []
        sandbox.freeze()

        async def sleeper():
            await sandbox.sleep(10)
            ended.append(sandbox._clock.now())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleeper)
            await anyio.wait_all_tasks_blocked()
            sandbox.advance(9)
            await anyio.wait_all_tasks_blocked()
            assert ended == []
            sandbox.advance(1)

        assert ended == [10]

    async def test_while_it_is_served_it_is_on_that_clock(self):
        """X8: an hour at 36,000 times real time, and the rest of it on the other clock."""
        sandbox = Sandbox()
        async with sandbox.serve(speed=36_000):
            began = sandbox._serving_clock.now()
            await sandbox.sleep(3600)
            took = sandbox._serving_clock.now() - began

        assert took >= 3600

    async def test_it_sleeps_on_when_the_sandbox_is_no_longer_served(self):
        """X8: the time that is left passes on the other clock."""
        sandbox, ended = Sandbox(), []

        async def sleeper():
            await sandbox.sleep(1000)
            ended.append(sandbox._clock.now())

        async with anyio.create_task_group() as tasks:
            async with sandbox.serve():
                sandbox.freeze()
                tasks.start_soon(sleeper)
                await anyio.wait_all_tasks_blocked()
                sandbox.advance(400)
            sandbox.advance(600)

        assert ended == [sandbox._clock.now()]

    async def test_a_sleep_from_before_it_was_served_does_not_hinder_its_end(self):
        """The virtual clock may have jumped further than the served time came."""
        sandbox = Sandbox()
        async with anyio.create_task_group() as tasks, sandbox.serve():
            await anyio.to_thread.run_sync(lambda: None)
            tasks.start_soon(sandbox._clock.sleep, 10_000)
            await anyio.wait_all_tasks_blocked()
            for _ in range(30):
                await anyio.lowlevel.checkpoint()

        assert sandbox._clock.now() >= 10_000

    @pytest.mark.parametrize(("seconds", "error"), [(-1, ValueError), (float("nan"), ValueError), ("5", TypeError)])
    async def test_what_is_no_time_is_refused(self, seconds, error):
        """X8: by the argument's name."""
        with pytest.raises(error) as caught:
            await Sandbox().sleep(seconds)

        assert str(caught.value).startswith("seconds")


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
    script = f"import sys; sys.modules[{missing!r}] = None; from vpsorg_async.sandbox import Sandbox"

    result = ran("-c", script)

    remedy = "ModuleNotFoundError: the sandbox needs starlette and uvicorn: pip install 'vpsorg-async[sandbox]'"
    assert result.stderr.splitlines()[-1] == remedy


class TestArgumentsOfMethods:
    """One of a wrong type, or that cannot be, is named at once."""

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"port": "80"}, TypeError, "port must be a whole number, not '80'"),
            ({"port": True}, TypeError, "port must be a whole number, not True"),
            ({"port": -1}, ValueError, "port=-1: must be 0 or more"),
            ({"port": 65_536}, ValueError, "port must be from 0 to 65535"),
            ({"host": None}, TypeError, "host must be a str, not None"),
            ({"speed": "fast"}, TypeError, "speed must be a number, not 'fast'"),
            ({"speed": 0}, ValueError, "speed=0 must be a finite number above 0; use freeze() to stop time"),
            ({"speed": 10**400}, ValueError, "speed is a number of more than 300 digits: give a smaller one"),
        ],
        ids=str,
    )
    def test_of_serve(self, arguments, error, text):
        """And the sandbox can be served afterwards."""
        sandbox = Sandbox()

        with pytest.raises(error) as caught:
            sandbox.serve(**arguments)

        assert str(caught.value) == text
        with sandbox.serve() as base_url:
            assert httpx.get(f"{base_url}/servers/", headers=AUTHORIZED, trust_env=False).status_code == 200

    def test_of_an_account_and_of_the_sandbox(self):
        with pytest.raises(TypeError, match="read_only must be True or False, not 'no'"):
            Sandbox().add_account("vps_reader", read_only="no")
        with pytest.raises(TypeError, match="state must be a path or None, not 3"):
            Sandbox(state=3)

    @pytest.mark.parametrize(
        ("name", "use"),
        [
            ("seconds", lambda seconds: Sandbox().advance(seconds)),
            ("after", lambda after: Sandbox(servers=1).set_status(12345, "stopped", after=after)),
            ("latency", lambda latency: Sandbox(latency=latency)),
            ("seconds", Fault.delay),
            ("bytes_per_second", Fault.drip),
        ],
    )
    def test_whole_numbers_that_are_too_long_for_a_time(self, name, use):
        with pytest.raises(ValueError, match=f"{name} is a number of more than 300 digits: give a smaller one"):
            use(10**400)
