"""OpenTelemetry: spans of calls, attempts, waits, fleets and shared polls, metrics, and nothing told twice."""

from __future__ import annotations

import subprocess
import sys

from importlib.metadata import entry_points

import anyio
import httpx
import pytest

from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.helpers import ROOT, detail
from tests.helpers_api import SPEC, FakeAPI
from tests.rawserver import RawServer, drop, hang, json
from vpsorg_async import Client, NotFoundError, PollPolicy, RetryPolicy, VPSError
from vpsorg_async.integrations.opentelemetry import VPSOrgInstrumentor, instrument, uninstrument
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.005, maximum=0.01)
TOKEN = "vps_5ecre7token"


class Telemetry:
    """The SDK, with all in memory."""

    def __init__(self):
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meter_provider = MeterProvider([self.reader])
        self.providers = {"tracer_provider": self.tracer_provider, "meter_provider": self.meter_provider}

    @property
    def spans(self):
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time)

    def of(self, name):
        return [span for span in self.spans if span.name == name]

    def one(self, name):
        [span] = self.of(name)
        return span

    def points(self, name):
        """Return (attributes, count, sum) of each point of a histogram."""
        data = self.reader.get_metrics_data()
        return [
            (dict(point.attributes), point.count, point.sum)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def telemetry():
    return Telemetry()


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        yield running


def client_of(server, telemetry=None, **options):
    client = Client(TOKEN, base_url=server.base_url, **{"retry": QUICK, **options})
    if telemetry is not None:
        instrument(client, **telemetry.providers)
    return client


def parent_of(span):
    return None if span.parent is None else span.parent.span_id


class TestCalls:
    async def test_a_call_is_a_span_and_so_is_each_of_its_attempts(self, server, telemetry):
        """I2: attempts are children, with the number of the resend; what failed says how."""
        server.answer("GET", "/servers/7/", [json(503, {}), json(200, detail(7), {"X-Request-ID": "req-2"})])

        async with client_of(server, telemetry) as client:
            await client.servers.get(7)

        call, first, second = telemetry.spans
        assert (call.name, call.kind, call.parent) == ("vpsorg.call", SpanKind.INTERNAL, None)
        assert {"url.template": "/servers/{id}/", "vpsorg.call.attempts": 2, "vpsorg.server.id": "7"}.items() <= dict(
            call.attributes
        ).items()
        assert (first.name, first.kind) == ("GET /servers/{id}/", SpanKind.CLIENT)
        assert parent_of(first) == parent_of(second) == call.context.span_id
        assert dict(first.attributes) == {
            "http.request.method": "GET",
            "url.full": f"{server.base_url}/servers/7/",
            "url.template": "/servers/{id}/",
            "server.address": "127.0.0.1",
            "server.port": server.port,
            "http.response.status_code": 503,
            "error.type": "503",
        }
        assert first.status.status_code is StatusCode.ERROR
        assert second.attributes["http.request.resend_count"] == 1
        assert second.attributes["http.response.status_code"] == 200
        assert second.status.status_code is call.status.status_code is StatusCode.UNSET

    async def test_each_attempt_names_itself_in_its_headers(self, server, telemetry):
        """I2: `traceparent`, of the attempt's own span."""
        server.answer("GET", "/servers/7/", [json(503, {}), json(200, detail(7))])

        async with client_of(server, telemetry) as client:
            await client.servers.get(7)

        sent = [request.headers["traceparent"].rpartition("-")[0] for request in server.requests]
        spans = telemetry.of("GET /servers/{id}/")
        assert sent == [f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}" for span in spans]

    async def test_the_callers_span_is_the_parent_and_is_current_again_afterwards(self, server, telemetry):
        """I2: whatever ended the call."""
        tracer = telemetry.tracer_provider.get_tracer("test")
        server.answer("GET", "/servers/8/", json(404, {}))

        async with client_of(server, telemetry) as client:
            with tracer.start_as_current_span("mine") as mine:
                with pytest.raises(NotFoundError):
                    await client.servers.get(8)
                with tracer.start_as_current_span("after"):
                    pass

        call = telemetry.one("vpsorg.call")
        assert parent_of(call) == parent_of(telemetry.one("after")) == mine.get_span_context().span_id
        assert (call.attributes["error.type"], call.status.status_code) == ("NotFoundError", StatusCode.ERROR)

    async def test_a_cancelled_call_ends_its_spans(self, server, telemetry):
        """I2: the attempt on the wire too."""
        server.answer("GET", "/servers/8/", hang())

        async with client_of(server, telemetry) as client, anyio.create_task_group() as group:
            group.start_soon(client.servers.get, 8)
            await server.arrived(path="/servers/8/")
            group.cancel_scope.cancel()

        assert [(span.name, span.attributes["error.type"]) for span in telemetry.spans] == [
            ("vpsorg.call", "cancelled"),
            ("GET /servers/{id}/", "cancelled"),
        ]

    async def test_no_response_is_an_error_with_a_name(self, server, telemetry):
        """I2: and without a status."""
        server.answer("POST", "/servers/7/reboot/", drop())

        async with client_of(server, telemetry, timeout=1.5) as client:
            with pytest.raises(VPSError):
                await client.servers.reboot(7)

        attempt = telemetry.one("POST /servers/{id}/reboot/")
        assert attempt.attributes["error.type"] == "APIConnectionError"
        assert "http.response.status_code" not in attempt.attributes

    async def test_finding_out_about_a_lost_create_is_a_part_of_the_call(self, server, telemetry):
        """I2: its listings are children of the call's span."""
        api = FakeAPI(server)
        server.answer("POST", "/servers/", api.committed(lambda _: drop()))

        async with client_of(server, telemetry) as client:
            made = await client.servers.create(**SPEC)

        call = telemetry.one("vpsorg.call")
        assert {parent_of(span) for span in telemetry.spans if span is not call} == {call.context.span_id}
        assert telemetry.one("GET /servers/").attributes["http.response.status_code"] == 200
        assert call.attributes["vpsorg.server.id"] == str(made.id)

    async def test_no_attribute_holds_a_secret(self, server, telemetry):
        """I2: no token, no query, no body."""
        server.answer("GET", "/servers/", json(400, {"detail": f"bad {TOKEN} in location=us-s3cret"}))
        server.answer("PATCH", "/servers/7/", json(200, detail(7, hostname="h0st")))

        async with client_of(server, telemetry) as client:
            with pytest.raises(VPSError):
                await client.servers.list(location="us-s3cret").all()
            await client.servers.update(7, hostname="h0st")

        told = "".join(span.to_json() for span in telemetry.spans) + telemetry.reader.get_metrics_data().to_json()
        assert not any(secret in told for secret in (TOKEN, "s3cret", "h0st"))

    async def test_one_that_is_instrumented_twice_or_no_more(self, server, telemetry):
        async with client_of(server, telemetry) as client:
            instrument(client.with_options(timeout=3), **telemetry.providers)
            await client.servers.get(7)
            uninstrument(client)
            uninstrument(client)
            await client.servers.get(7)

        assert [span.name for span in telemetry.spans] == ["vpsorg.call", "GET /servers/{id}/"]


class TestWaits:
    async def test_a_shared_poll_is_a_root_that_the_waits_it_serves_are_linked_with(self, server, telemetry):
        """I2: two waits of one server, and one poll at a time for both."""
        server.answer("GET", "/servers/7/", [json(200, detail(7, status="starting")), json(200, detail(7))])
        tracer = telemetry.tracer_provider.get_tracer("test")
        poll = PollPolicy(minimum=0.1, maximum=0.1)

        async with client_of(server, telemetry) as client:
            with tracer.start_as_current_span("mine"):
                async with anyio.create_task_group() as group:
                    for _ in range(2):
                        group.start_soon(lambda: client.servers.wait_until(7, status="active", poll=poll))

        polls, waits = telemetry.of("vpsorg.poll"), telemetry.of("vpsorg.wait")
        assert [span.parent for span in polls] == [None] * len(server.requests)
        assert {parent_of(span) for span in telemetry.of("GET /servers/{id}/")} == {
            one.context.span_id for one in polls
        }
        assert [parent_of(span) for span in waits] == [telemetry.one("mine").context.span_id] * 2
        for wait in waits:
            linked = {link.context.span_id for link in wait.links}
            assert linked
            assert linked <= {span.context.span_id for span in polls}
        assert telemetry.of("vpsorg.call") == []

    async def test_a_call_in_on_change_is_a_child_of_the_wait(self, server, telemetry):
        """I2: and a poll that is made by the same task is not."""
        async with client_of(server, telemetry) as client, client_of(server, telemetry) as other:
            await client.servers.wait_until(7, status="active", on_change=lambda shown: other.servers.get(shown.id))

        wait = telemetry.one("vpsorg.wait")
        assert parent_of(telemetry.one("vpsorg.call")) == wait.context.span_id
        assert telemetry.one("vpsorg.poll").parent is None
        assert wait.attributes["vpsorg.wait.outcome"] == "done"

    async def test_a_list_poll_has_each_page_and_ends_when_nobody_goes_on_with_it(self, server, telemetry):
        """I2: cancelled in the middle, no span stays open."""
        server.answer("GET", "/servers/", hang())
        async with client_of(server, telemetry) as client, anyio.create_task_group() as group:
            group.start_soon(anext, client.servers.watch())
            await server.arrived()
            group.cancel_scope.cancel()

        poll, page = telemetry.spans
        assert (poll.name, poll.attributes["vpsorg.poll.kind"]) == ("vpsorg.poll", "list")
        assert (page.name, parent_of(page)) == ("GET /servers/", poll.context.span_id)


class TestFleets:
    async def test_the_calls_and_waits_of_a_fleet_are_its_children(self, telemetry):
        """I2: of each item."""
        sandbox = Sandbox(servers=3)

        async with sandbox.client() as client:
            instrument(client, **telemetry.providers)
            await client.fleet([one["id"] for one in sandbox.servers]).reboot(wait=True, at_once=2)

        fleet = telemetry.one("vpsorg.fleet")
        children = [span.name for span in telemetry.spans if parent_of(span) == fleet.context.span_id]
        assert (children.count("vpsorg.call"), children.count("vpsorg.wait")) == (3, 3)
        assert (fleet.attributes["vpsorg.fleet.total"], fleet.attributes["vpsorg.fleet.succeeded"]) == (3, 3)


class TestMetrics:
    async def test_attempts_waits_queues_and_pauses_are_measured(self, server, telemetry):
        """I2: durations in seconds."""
        server.answer("GET", "/servers/7/", [json(429, {}, {"Retry-After": "0"}), json(200, detail(7))])

        async with client_of(server, telemetry) as client:
            await client.servers.get(7)
            await client.servers.wait_until(7, status="active")

        requests = {
            attributes["http.response.status_code"]: (attributes.get("error.type"), count)
            for attributes, count, _ in telemetry.points("http.client.request.duration")
        }
        assert requests == {429: ("429", 1), 200: (None, 2)}
        assert [count for _, count, _ in telemetry.points("vpsorg.call.queued")] == [1]
        assert [(one["vpsorg.whose"], count) for one, count, _ in telemetry.points("vpsorg.call.pause")] == [
            ("reads", 1)
        ]
        assert [(one["vpsorg.outcome"], count) for one, count, _ in telemetry.points("vpsorg.wait.duration")] == [
            ("done", 1)
        ]


class TestBesideHttpx:
    @pytest.mark.parametrize("first", ["httpx", "ours"])
    async def test_nothing_is_told_twice_beside_the_instrumentation_of_httpx(self, server, telemetry, first):
        """I2: the user's own requests are told as before, also those of a token's callable."""
        httpxs = HTTPXClientInstrumentor()

        async def token():
            async with httpx.AsyncClient() as own:
                await own.get(f"{server.base_url}/servers/7/")
            return TOKEN

        if first == "httpx":
            httpxs.instrument(**telemetry.providers)
        try:
            async with Client(token, base_url=server.base_url) as client:
                instrument(client, **telemetry.providers)
                if first == "ours":
                    httpxs.instrument(**telemetry.providers)
                await client.servers.get(7)
        finally:
            httpxs.uninstrument()

        names = sorted(span.name for span in telemetry.spans)
        assert names == ["GET", "GET /servers/{id}/", "vpsorg.call"]
        assert len(server.requests) == 2
        assert [count for _, count, _ in telemetry.points("http.client.request.duration")] == [1]


class TestWithoutTouchingTheProgram:
    def test_every_client_that_is_made_from_then_on_is_followed(self, telemetry):
        """I2: and none after `uninstrument`."""
        instrumentor = VPSOrgInstrumentor()

        instrumentor.instrument(**telemetry.providers, skip_dep_check=True)
        try:
            followed = Client("vps_test")
        finally:
            instrumentor.uninstrument()

        assert followed._context.events.tracer is not None
        assert Client("vps_test")._context.events.tracer is None

    def test_opentelemetry_instrument_finds_it(self, server):
        """I2: `opentelemetry-instrument python app.py`."""
        [found] = [one for one in entry_points(group="opentelemetry_instrumentor") if one.name == "vpsorg_async"]
        assert found.load() is VPSOrgInstrumentor
        program = f"""
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + chr(10))))
trace.set_tracer_provider(provider)
from vpsorg_async import Client
async def main():
    async with Client("vps_test", base_url={server.base_url!r}) as client:
        await client.servers.get(7)
asyncio.run(main())
"""
        command = [sys.executable, "-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()"]
        done = subprocess.run(
            [*command, sys.executable, "-c", program],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
            check=False,
        )

        assert done.stdout.split("\n")[:2] == ["GET /servers/{id}/", "vpsorg.call"], done.stderr
