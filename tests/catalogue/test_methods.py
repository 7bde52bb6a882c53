"""`client.plans`, `client.locations`, `client.operating_systems` and `client.account`: by sockets, in the sandbox."""

from __future__ import annotations

import gc
import re
import typing

import anyio
import pytest

from tests.helpers import page
from tests.helpers_api import client_of
from tests.rawserver import drop, hang, json
from vpsorg_async import (
    Account,
    AmbiguousNameError,
    AuthenticationError,
    ClientClosedError,
    InvalidArgumentError,
    Location,
    NotFoundError,
    OperatingSystem,
    Plan,
    ResponseError,
    TokenInfo,
)
from vpsorg_async._catalogue.methods import AccountMethods, Locations, OperatingSystems, Plans
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

ANYTHING = re.compile(".*")
LISTS = {"plans": "/plans/", "locations": "/locations/", "operating_systems": "/operating-systems/"}
WEST = {"id": 1, "name": "Starter VPS", "slug": "starter", "locations": ["us-west"]}
EAST = {"id": 2, "name": "Standard VPS", "slug": "standard", "locations": ["us-east"]}


class TestPlans:
    async def test_a_list_may_be_that_of_a_datacenter(self, server):
        """An API or a proxy that ignores the filter adds no plans."""
        server.answer("GET", "/plans/", json(200, page(WEST, EAST, {"id": 3})))

        async with client_of(server) as client:
            everywhere, west = await client.plans.list(), await client.plans.list(location="us-west")

        assert [plan.id for plan in everywhere] == [1, 2, 3]
        assert [plan.id for plan in west] == [1, 3]
        assert [request.query for request in server.requests] == [{}, {"location": "us-west"}]

    async def test_one_is_read_by_its_id(self, server):
        server.answer("GET", "/plans/1/", json(200, WEST))

        async with client_of(server) as client:
            plan = await client.plans.get(1)
            with pytest.raises(NotFoundError):
                await client.plans.get("9b2f")

        assert plan == Plan(id=1, name="Starter VPS", slug="starter", locations=("us-west",))

    @pytest.mark.parametrize("body", [[], {"name": "Starter VPS"}])
    async def test_what_is_no_plan_is_an_error(self, server, body):
        server.answer("GET", "/plans/1/", json(200, body))

        async with client_of(server) as client:
            with pytest.raises(ResponseError, match=r"^GET /plans/1/: no .* @ \$$"):
                await client.plans.get(1)

    @pytest.mark.parametrize(
        ("plan_id", "error", "text"),
        [
            (-1, InvalidArgumentError, "plan_id=-1 is negative"),
            ("a/b", InvalidArgumentError, "plan_id='a/b' is no plan's id: letters, digits and - . _ ~ only, no '..'"),
            ("", InvalidArgumentError, "plan_id='' is no plan's id: letters, digits and - . _ ~ only, no '..'"),
            (True, TypeError, "plan_id must be an int or a str, not True"),
            (None, TypeError, "plan_id must be an int or a str, not None"),
        ],
    )
    async def test_what_is_no_id_never_reaches_the_network(self, server, plan_id, error, text):
        async with client_of(server) as client:
            with pytest.raises(error) as caught:
                await client.plans.get(plan_id)

        assert str(caught.value) == text
        assert server.requests == []

    async def test_what_is_no_datacenter_is_refused(self, server):
        async with client_of(server) as client:
            with pytest.raises(TypeError, match="location must be a datacenter code such as 'us-west', not 7"):
                await client.plans.list(location=7)

        assert server.requests == []


@pytest.mark.parametrize(("kind", "path"), LISTS.items())
class TestNames:
    async def test_there_may_be_none(self, server, kind, path):
        server.answer("GET", path, json(200, page({"id": 1, "name": "a"})))

        async with client_of(server) as client:
            assert (await getattr(client, kind).get_by_name("a")).id == 1
            assert await getattr(client, kind).get_by_name("b") is None

    async def test_several_are_an_error_with_their_ids(self, server, kind, path):
        server.answer("GET", path, json(200, page({"id": 1, "name": "a"}, {"id": "x", "name": "a"})))

        async with client_of(server) as client:
            with pytest.raises(AmbiguousNameError) as caught:
                await getattr(client, kind).get_by_name("a")

        assert caught.value.ids == (1, "x")
        assert caught.value.request_summary == f"GET {path}"

    async def test_malformed_neighbours_are_passed_over_and_one_of_that_name_is_not(self, server, kind, path):
        """As with servers: a list that has them is an error."""
        server.answer("GET", path, json(200, page({"name": "b"}, None, 7, {"id": 2, "name": "a"})))

        async with client_of(server) as client:
            assert (await getattr(client, kind).get_by_name("a")).id == 2
            for ask in (getattr(client, kind).list(), getattr(client, kind).get_by_name("b")):
                with pytest.raises(ResponseError, match=f"GET {path}: item 0 of the list: no usable id"):
                    await ask

    @pytest.mark.parametrize("name", [None, 7, b"a"])
    async def test_what_is_no_name_is_refused(self, server, kind, path, name):
        async with client_of(server) as client:
            with pytest.raises(TypeError, match="name must be a str"):
                await getattr(client, kind).get_by_name(name)

        assert server.requests_to(path=path) == []


class TestAccount:
    async def test_it_is_the_token_s(self, server):
        body = {"account": {"email": "a@example.com"}, "token": {"name": "ci", "permissions": ["servers:read"]}}
        server.answer("GET", "/account/me/", json(200, body))

        async with client_of(server) as client:
            account = await client.account.me()

        assert account == Account(email="a@example.com", token=TokenInfo(name="ci", permissions=("servers:read",)))

    async def test_a_token_that_does_not_work_is_an_error(self, server):
        server.answer("GET", "/account/me/", json(401, {"detail": "Invalid token."}))

        async with client_of(server) as client:
            with pytest.raises(AuthenticationError):
                await client.account.me()

    async def test_what_is_no_account_is_an_error(self, server):
        server.answer("GET", "/account/me/", json(200, []))

        async with client_of(server) as client:
            with pytest.raises(ResponseError, match=r"^GET /account/me/: no object but an array @ \$$"):
                await client.account.me()


ASK = {
    "plans": lambda client: client.plans.list(),
    "a plan": lambda client: client.plans.get(1),
    "a datacenter": lambda client: client.locations.get_by_name("us-west"),
    "systems": lambda client: client.operating_systems.list(),
    "the account": lambda client: client.account.me(),
}


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
class TestCalls:
    async def test_a_lost_response_is_asked_for_again(self, server, ask):
        """They change nothing."""
        server.answer("GET", ANYTHING, [drop(), json(503, {}), json(200, {"id": 1, "results": []})])

        async with client_of(server) as client:
            await ask(client)

        assert len(server.requests) == 3

    async def test_a_cancel_ends_it_at_once(self, server, ask):
        """The connection is given back: the next call has one."""
        server.answer("GET", ANYTHING, [hang(), json(200, {"id": 1, "results": []})])

        async with client_of(server, max_connections=1) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(ask, client)
                await server.arrived(1)
                group.cancel_scope.cancel()
            await ask(client)

        assert len(server.requests) == 2

    async def test_a_closed_client_makes_none(self, server, ask):
        client = client_of(server)
        await client.aclose()

        with pytest.raises(ClientClosedError):
            await ask(client)

    async def test_the_options_of_a_view_count(self, server, ask):
        server.answer("GET", ANYTHING, json(200, {"id": 1, "results": []}))

        async with client_of(server) as client:
            await ask(client.with_options(headers={"X-Trace": "abc"}))

        assert server.requests[0].headers["x-trace"] == "abc"


class TestSandbox:
    @pytest.mark.parametrize("options", [{}, {"user_agent": "vps-mcp/0.1.0"}])
    async def test_a_server_is_made_of_what_the_lists_name(self, options):
        """In both shapes: what is found by its name can be created."""
        sandbox = Sandbox()
        async with sandbox.client(**options) as client:
            plan = await client.plans.get_by_name("Performance VPS")
            system = await client.operating_systems.get_by_name("Debian 13")
            place = await client.locations.get_by_name("EU Central")
            await client.servers.create(name="web-01", plan_id=plan.id, os_id=system.id, location=place.code)

        server = sandbox.servers[0]
        assert (server["plan"]["name"], server["os"]["name"]) == ("Performance VPS", "Debian 13")
        assert server["location"] == "eu-central"

    async def test_both_shapes_say_the_same(self):
        """But for what only one of them tells."""
        sandbox = Sandbox()
        async with sandbox.client() as documented, sandbox.client(user_agent="vps-mcp/0.1.0") as other:
            for one, another in zip(await documented.plans.list(), await other.plans.list(), strict=True):
                for field in ("id", "name", "vcpus", "memory", "storage", "bandwidth", "price_monthly"):
                    assert getattr(one, field) == getattr(another, field)
                assert one.price_hourly == pytest.approx(another.price_hourly, abs=0.001)

    async def test_a_token_that_only_reads_may_ask(self):
        sandbox = Sandbox()
        sandbox.add_account("vps_reader", read_only=True)
        async with sandbox.client(token="vps_reader") as reader, sandbox.client() as owner:
            asked = [(await client.account.me()).token.permissions for client in (reader, owner)]

        assert asked == [("servers:read",), ("servers:*",)]

    async def test_the_client_lives_for_as_long_as_its_lists(self):
        """`Sandbox().client().plans` needs no variable for the client."""
        plans = Sandbox().client().plans
        gc.collect()

        assert len(await plans.list()) == 5


@pytest.mark.parametrize("kind", [Plans, Locations, OperatingSystems, AccountMethods])
def test_the_types_of_its_methods_can_be_resolved(kind):
    """FastAPI and the like do that."""
    hints = {name: typing.get_type_hints(method)["return"] for name, method in vars(kind).items() if name[0] != "_"}

    assert set(hints.values()) <= {
        list[Plan], list[Location], list[OperatingSystem], Plan, Account,
        Plan | None, Location | None, OperatingSystem | None,
    }  # fmt: skip
