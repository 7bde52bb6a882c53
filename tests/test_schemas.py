"""The models in web frameworks: what pydantic, FastAPI and Litestar answer, read and show."""

from __future__ import annotations

import json

from datetime import date
from types import MappingProxyType
from typing import Annotated, Any

import attrs
import fastapi
import httpx
import litestar
import litestar.params
import pydantic
import pytest

import vpsorg_async

from tests.helpers import detail, listed
from tests.processes import ran
from vpsorg_async import (
    Account,
    Action,
    ClientStats,
    EnsurePreview,
    FleetReport,
    Location,
    OperatingSystem,
    Outcome,
    Plan,
    Progress,
    RateLimitError,
    Server,
    ServerChange,
    ServerRef,
    ServerSpec,
    ServerStatus,
    TokenInfo,
)
from vpsorg_async._schemas import Described


PASSWORD = "hunter2"  # never to be answered with
SERVER = Server.from_dict(detail(7, password=PASSWORD, tags=["a"]))
BARE = Server.from_dict({"id": "a", "name": "x", "status": "migrating", "hostname": None, "password": PASSWORD})
SPEC = ServerSpec(name="web-01", plan_id=1, os_id="5", location="us-west")
ERROR = RateLimitError("too many", status_code=429, request_id="r-1")
REPORT = FleetReport(
    action="start",
    outcomes=(
        Outcome(index=0, item=SERVER, state="succeeded", server=SERVER, value=SERVER),
        Outcome(index=1, item=8, state="failed", error=ERROR),
    ),
    stopped_by=ERROR,
)
PROGRESS = Progress(total=3, begun=2, succeeded=1, failed=0, pending=0, unknown=1, skipped=0)
ACTION = Action(status="success", message="Ok", server=ServerRef(id=7, name="x", status=ServerStatus.STARTING))
CHANGE = ServerChange(SERVER, Server.from_dict(listed(7, status="stopped")))
GONE = ServerChange(SERVER, None)
CHANGED = {"kind": "changed", "before": SERVER.to_dict(), "after": listed(7, status="stopped"), "fields": ["status"]}
ACCOUNT = Account(email="a@b.c", created_at=date(2024, 6, 15), token=TokenInfo(name="ci", permissions=("dns:*",)))
SYSTEM = OperatingSystem(id="a", name="Ubuntu", versions=(OperatingSystem(id=5, name="22.04"),))
STATS_GIVEN: dict[str, Any] = {
    "in_flight": 1,
    "queued": 0,
    "rate": None,
    "retry_budget": 10.0,
    "waits": 0,
    "watches": 2,
    "polls": 7,
    "requests": 9,
}
STATS = ClientStats(**STATS_GIVEN, paused_for=MappingProxyType({"reads": 2.5}))
ANSWERS = [
    (Server, SERVER, detail(7, tags=["a"])),
    (list[Server], [SERVER, BARE], [detail(7, tags=["a"]), BARE.to_dict()]),
    (FleetReport, REPORT, REPORT.to_dict()),
    (Outcome, REPORT[1], {"index": 1, **REPORT.to_dict()["outcomes"][1]}),
    (Progress, PROGRESS, attrs.asdict(PROGRESS)),
    (Action, ACTION, ACTION.to_dict()),
    (ServerChange, CHANGE, CHANGED),
    (ServerChange, GONE, {"kind": "gone", "before": SERVER.to_dict(), "after": None, "fields": []}),
    (ServerSpec, SPEC, attrs.asdict(SPEC)),
    (
        Account,
        ACCOUNT,
        {"email": "a@b.c", "created_at": "2024-06-15", "token": {"name": "ci", "permissions": ["dns:*"]}},
    ),
    (
        Plan,
        Plan(id=1, price_monthly=5.0, locations=("us-west",)),
        {"id": 1, "price_monthly": 5.0, "locations": ["us-west"]},
    ),
    (Location, Location(id=1, code="us-west", is_active=True), {"id": 1, "code": "us-west", "is_active": True}),
    (OperatingSystem, SYSTEM, {"id": "a", "name": "Ubuntu", "versions": [{"id": 5, "name": "22.04"}]}),
    (ClientStats, STATS, {**STATS_GIVEN, "paused_for": {"reads": 2.5}}),
    (EnsurePreview, EnsurePreview(create=(SPEC,), keep=(BARE,), conflicts=()), None),
]
PUBLIC = [
    kind
    for kind in map(vpsorg_async.__dict__.get, vpsorg_async.__all__)
    if isinstance(kind, type) and issubclass(kind, Described)
]


async def ask(app: Any, method: str, path: str, data: Any = None) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
        return await browser.request(method, path, json=data)


def app_answering(kind: Any, value: Any) -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/thing", response_model=kind)
    async def thing() -> Any:
        return value

    return app


def app_taking(kind: Any, got: list[Any]) -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    async def thing(thing) -> None:
        got.append(thing)

    thing.__annotations__["thing"] = Annotated[kind, fastapi.Body()]
    app.post("/thing")(thing)
    return app


def schema_of(document: dict[str, Any], kind: str) -> dict[str, Any]:
    return document["components"]["schemas"][kind]


class TestFastAPI:
    @pytest.mark.anyio
    @pytest.mark.parametrize(("kind", "value", "answer"), ANSWERS, ids=map(str, range(len(ANSWERS))))
    async def test_a_route_answers_with_a_model(self, kind, value, answer):
        """I3: as `to_dict` gives it, without the password."""
        response = await ask(app_answering(kind, value), "GET", "/thing")

        assert (response.status_code, PASSWORD in response.text) == (200, False)
        assert response.json() == answer or answer is None

    @pytest.mark.anyio
    async def test_its_document_names_the_models(self):
        """Each is a component, and every reference leads to one."""
        app = app_answering(list[Server], [])

        @app.post("/report")
        async def report(data: Annotated[FleetReport, fastapi.Body()]) -> FleetReport:
            return data

        document = (await ask(app, "GET", "/openapi.json")).json()

        text = json.dumps(document)
        names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
        assert names <= document["components"]["schemas"].keys()
        # Older pydantics name what a route both reads and answers with twice.
        assert {name.removesuffix("-Input").removesuffix("-Output") for name in names} >= {
            "Server",
            "Plan",
            "OperatingSystem",
            "ResourceUsage",
            "ServerStatus",
            "FleetReport",
            "Outcome",
        }
        answer = document["paths"]["/thing"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer["items"] == {"$ref": "#/components/schemas/Server"}
        assert "password" not in text
        assert "_secrets" not in text

    @pytest.mark.anyio
    async def test_its_document_shows_the_fields_of_a_server(self):
        document = (await ask(app_answering(Server, SERVER), "GET", "/openapi.json")).json()
        server = schema_of(document, "Server")

        assert server["required"] == ["id", "name", "status"]
        assert server["properties"]["hostname"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
        assert server["properties"]["plan"]["anyOf"][0] == {"$ref": "#/components/schemas/Plan"}
        assert server["properties"].keys() == detail(7, message="").keys()
        assert schema_of(document, "ServerStatus")["enum"] == [*ServerStatus]
        assert server["description"].startswith("A server as one response of the API showed it.")

    @pytest.mark.anyio
    @pytest.mark.parametrize(
        ("kind", "data", "read"),
        [
            (Server, detail(7, password=PASSWORD), Server.from_dict(detail(7))),
            (FleetReport, REPORT.to_dict(), None),
            (Action, ACTION.to_dict(), ACTION),
            (ServerSpec, {"name": "web-01", "plan_id": 1, "os_id": "5", "location": "us-west"}, SPEC),
            (ServerChange, {"before": detail(7), "after": None}, ServerChange(Server.from_dict(detail(7)), None)),
            (Progress, attrs.asdict(PROGRESS), PROGRESS),
            (list[ServerSpec], [attrs.asdict(SPEC)] * 2, [SPEC, SPEC]),
            (
                Account,
                {"email": "a@b.c", "created_at": "2024-06-15", "token": {"name": "ci", "permissions": ["dns:*"]}},
                ACCOUNT,
            ),
            (TokenInfo, {"name": "ci", "token": PASSWORD}, TokenInfo(name="ci")),
            (OperatingSystem, {"id": "a", "name": "Ubuntu", "versions": [{"id": 5, "name": "22.04"}]}, SYSTEM),
            (Plan, {"id": 1, "locations": ["us-west"]}, Plan(id=1, locations=("us-west",))),
        ],
        ids=map(str, range(11)),
    )
    async def test_a_route_reads_a_model(self, kind, data, read):
        """I3: from a request's body, by `from_dict` where there is one."""
        got: list[Any] = []
        app = app_taking(kind, got)

        response = await ask(app, "POST", "/thing", data)

        assert response.status_code == 200, response.text
        assert got[0] == read or (read is None and got[0].to_dict() == data)

    @pytest.mark.anyio
    @pytest.mark.parametrize(
        ("kind", "data", "reason"),
        [
            (Server, {"name": "no id"}, "no usable id"),
            (Server, ["no object"], "no object but an array"),
            (FleetReport, {"version": 99}, "version"),
            (ServerSpec, {"name": "web-01", "plan_id": 1, "location": "us-west"}, "Field required"),
            (ServerSpec, {**attrs.asdict(SPEC), "backup": True}, "Extra inputs are not permitted"),
            (ServerSpec, {**attrs.asdict(SPEC), "plan_id": 1.5}, "valid integer"),
            (ServerChange, {"before": None}, "before, after or both"),
            (ServerChange, 7, "before and after"),
            (vpsorg_async.Plan, "large", "no object but a string"),
        ],
        ids=map(str, range(9)),
    )
    async def test_a_body_that_is_none_is_refused(self, kind, data, reason):
        """With 422 and the reason, not with 500."""
        got: list[Any] = []

        response = await ask(app_taking(kind, got), "POST", "/thing", data)

        assert (response.status_code, reason in response.text, got) == (422, True, []), response.text

    @pytest.mark.anyio
    async def test_a_model_may_be_a_field_of_a_pydantic_model(self):
        class Page(pydantic.BaseModel):
            servers: list[Server]
            progress: Progress | None = None

        page = Page(servers=[SERVER], progress=PROGRESS)
        response = await ask(app_answering(Page, page), "GET", "/thing")

        assert response.json() == {"servers": [detail(7, tags=["a"])], "progress": attrs.asdict(PROGRESS)}
        assert PASSWORD not in str(page.model_dump()) + page.model_dump_json()
        assert Page.model_validate_json(response.text) == page


class TestPydantic:
    @pytest.mark.parametrize("kind", PUBLIC, ids=[kind.__name__ for kind in PUBLIC])
    @pytest.mark.parametrize("mode", ["validation", "serialization"])
    def test_every_model_has_a_schema(self, kind, mode):
        """Whose references all lead somewhere: pydantic raises otherwise."""
        schema = pydantic.TypeAdapter(list[kind]).json_schema(mode=mode)

        assert schema["$defs"][kind.__name__]["type"] == "object"

    def test_every_model_is_there(self):
        """I3: all that a call, a watch or a fleet returns."""
        data = {Action, FleetReport, Outcome, Progress, Server, ServerChange, ServerRef, ServerSpec, EnsurePreview}

        assert data <= {*PUBLIC}
        assert {*PUBLIC} >= {vpsorg_async.Plan, vpsorg_async.OperatingSystem, vpsorg_async.ResourceUsage}

    @pytest.mark.parametrize(("kind", "value", "answer"), ANSWERS, ids=map(str, range(len(ANSWERS))))
    def test_what_it_writes_fits_its_schema(self, kind, value, answer):
        """Each field that is always there is, and no field of a closed schema is unknown."""
        adapter = pydantic.TypeAdapter(kind)
        schema = adapter.json_schema(mode="serialization")
        written = adapter.dump_python(value)

        one, data = (schema, written) if isinstance(written, dict) else (schema["$defs"]["Server"], written[0])
        assert {*one["required"]} <= data.keys()
        assert one.get("additionalProperties", True) or data.keys() <= one["properties"].keys()

    def test_an_object_is_taken_as_it_is(self):
        """With its client and its password, which only the answer leaves out."""
        assert pydantic.TypeAdapter(Server).validate_python(SERVER) is SERVER
        assert pydantic.TypeAdapter(ServerSpec).validate_python(SPEC) is SPEC

    def test_it_is_imported_only_by_those_who_use_it(self):
        code = "import sys, vpsorg_async as v; v.FleetReport, v.ServerChange; print('pydantic' in str([*sys.modules]))"
        told = ran("-c", code)

        assert told.stdout == "False\n"


class TestLitestar:
    @pytest.mark.anyio
    async def test_routes_answer_and_its_document_is_made(self):
        """It reads attrs classes itself, so an answer has the attributes; nothing hidden leaves with them."""

        @litestar.get("/server")
        async def server() -> Server:
            return SERVER

        @litestar.get("/servers")
        async def servers() -> list[Server]:
            return [SERVER]

        @litestar.get("/report")
        async def report() -> FleetReport:
            return REPORT

        @litestar.get("/change")
        async def change() -> ServerChange:
            return CHANGE

        @litestar.get("/told")
        async def told() -> dict[str, Any]:
            return REPORT.to_dict()

        @litestar.post("/spec", status_code=200)
        async def spec(data: Annotated[ServerSpec, litestar.params.Body()]) -> ServerSpec:
            return data

        app = litestar.Litestar([server, servers, report, change, told, spec], type_encoders={Exception: str})
        answers = [await ask(app, "GET", path) for path in ("/server", "/servers", "/report", "/change", "/told")]
        document = (await ask(app, "GET", "/schema/openapi.json")).json()

        assert [one.status_code for one in answers] == [200] * 5
        assert PASSWORD not in "".join(one.text for one in answers)
        assert answers[0].json()["plan"]["memory"] == answers[1].json()[0]["plan"]["memory"] == 4096
        assert answers[0].json().keys() >= detail(7).keys()
        assert answers[2].json()["outcomes"][0]["server"]["id"] == answers[3].json()["after"]["id"] == 7
        assert answers[2].json()["outcomes"][1]["error"] == "too many"
        assert answers[4].json() == REPORT.to_dict()
        assert (await ask(app, "POST", "/spec", attrs.asdict(SPEC))).json() == attrs.asdict(SPEC)
        schemas = document["components"]["schemas"]
        assert {"Server", "Plan", "FleetReport", "ServerChange"} <= schemas.keys()
        shown = [name for model in ("Server", "Plan", "ServerChange") for name in schemas[model]["properties"]]
        assert [name for name in shown if name.startswith("_")] == []
