"""The OpenAPI document agrees with the endpoints of the sandbox, and its examples with their responses."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.helpers import ROOT
from tests.sandbox.conftest import AUTHORIZED
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._api.endpoints import ENDPOINTS
from vpsorg_async.sandbox._openapi.document import OPERATIONS, document


pytestmark = pytest.mark.anyio

SERVER = "/servers/{server_id}/"
DOCUMENT = document()


def contract(name):
    return json.loads((ROOT / "tests" / "contract" / f"{name}.json").read_text())


def operation(method, path):
    return DOCUMENT["paths"][path][method.lower()]


def content(part):
    return part["content"]["application/json"]


def refusal(status):
    return content(DOCUMENT["components"]["responses"][str(status)])["example"]


class TestCompleteness:
    async def test_it_is_served_without_a_token(self):
        transport = httpx.ASGITransport(Sandbox().app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.example") as client:
            answer = await client.get("/openapi.json")

        assert (answer.status_code, answer.json()) == (200, DOCUMENT)

    def test_it_has_every_endpoint_and_no_other(self):
        """Undocumented endpoints are included; each has a unique name."""
        described = {
            path: {method.upper() for method in item if method != "parameters"}
            for path, item in DOCUMENT["paths"].items()
        }
        names = [operation(method, path)["operationId"] for path, methods in described.items() for method in methods]

        assert described == {path: set(methods) for path, methods in ENDPOINTS.items()}
        assert len(set(names)) == len(names)

    def test_it_knows_those_that_are_documented(self):
        assert OPERATIONS.keys() <= {(method, path) for path, methods in ENDPOINTS.items() for method in methods}
        tags = [operation.tag for operation in OPERATIONS.values()]
        assert [tags.count(tag) for tag in ("servers", "catalogue", "undocumented")] == [9, 3, 2]

    def test_none_of_them_goes_without_a_token(self):
        assert DOCUMENT["security"] == [{"token": []}]
        assert DOCUMENT["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}


CONTRACT = [
    ("GET", "/servers/", "list"),
    ("POST", "/servers/", "created"),
    ("GET", SERVER, "detail"),
    ("POST", f"{SERVER}start/", "action"),
]


@pytest.mark.parametrize(("method", "path", "name"), CONTRACT)
def test_its_examples_are_the_contract_s(method, path, name):
    success = next(part for status, part in operation(method, path)["responses"].items() if status < "300")

    assert content(success)["example"] == contract(name)


@pytest.fixture
async def asked():
    """Give a sandbox with the documented servers, and a function that sends requests to it."""
    sandbox = Sandbox(servers=2, credits=1)
    sandbox.add_account("vps_reader", read_only=True)
    sandbox.freeze()
    transport = httpx.ASGITransport(sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1", headers=AUTHORIZED) as client:

        async def ask(method, path, server_id=12345, plan_id=1, **options):
            return await client.request(method, path.format(server_id=server_id, plan_id=plan_id), **options)

        yield sandbox, ask


def body_of(method, path):
    """Return the request example of the document as options of httpx."""
    request = operation(method, path).get("requestBody")
    return {"json": content(request)["example"]} if request else {}


async def prepare(sandbox, ask, method, path):
    """Bring the server into the state of that endpoint's example."""
    if path.endswith("/start/"):
        await ask("POST", f"{SERVER}stop/")
        sandbox.advance(60)
    if path == SERVER and method != "DELETE":
        sandbox.advance(900)
        await ask("PATCH", SERVER, json={"name": "web-server-01"})


class TestAnswers:
    @pytest.mark.parametrize(("method", "path"), OPERATIONS)
    async def test_the_example_of_a_success_is_what_is_answered(self, asked, method, path):
        """The request is the example too; only the resource usage of a running server may differ."""
        sandbox, ask = asked
        await prepare(sandbox, ask, method, path)

        answer = await ask(method, path, **body_of(method, path))
        part = operation(method, path)["responses"][str(answer.status_code)]

        if answer.status_code == 204:
            assert "content" not in part
            assert answer.content == b""
            return
        said, shown = answer.json(), dict(content(part)["example"])
        if "resource_usage" in shown:
            assert said.pop("resource_usage").keys() == shown.pop("resource_usage").keys()
        assert said == shown

    @pytest.mark.parametrize(("method", "path"), OPERATIONS)
    async def test_each_refusal_that_it_names_is_answered_and_no_other(self, asked, method, path):
        """The body is the example of that status."""
        _, ask = asked
        good = body_of(method, path)
        answers = [
            await ask(method, path, **good, headers={"Authorization": ""}),
            await ask(method, path, **good, headers={"Authorization": "Bearer vps_reader"}),
            await ask(method, path, **good, server_id=7, plan_id=7, params={"page": "99"}),
            await ask(method, path, **{"content": b"{"} if good else {"params": {"status": "actve"}}),
        ]
        for _ in range(2):  # uses the credits up; a second command finds the first one under way
            answers.append(await ask(method, path, **good))
        refused = {answer.status_code: answer.json() for answer in answers if not answer.is_success}

        named = {int(status) for status in operation(method, path)["responses"] if status >= "300"}
        assert refused.keys() == named
        for status in named - {400}:
            listed = status == 404 and "{" not in path
            expected = {"detail": "Invalid page."} if listed else refusal(status)
            assert refused[status] == expected

    async def test_the_example_of_a_wrong_body_is_what_is_answered(self, asked):
        _, ask = asked
        answer = await ask("POST", "/servers/", json={"plan_id": 99, "os_id": 5, "location": "us-west"})

        assert (answer.status_code, answer.json()) == (400, refusal(400))

    @pytest.mark.parametrize("path", ENDPOINTS)
    async def test_a_method_that_a_path_does_not_have_is_405(self, asked, path):
        """The body is the example, except for the name of the method."""
        _, ask = asked
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - ENDPOINTS[path].keys():
            answer = await ask(method, path)
            text = json.dumps(refusal(405)).replace("PUT", method)
            assert (answer.status_code, answer.json()) == (405, json.loads(text))
            assert answer.headers["allow"].split(", ") == list(ENDPOINTS[path])
