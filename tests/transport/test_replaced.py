"""What tools put in the place of httpx's and httpcore's own functions sees every call, and nothing goes past it."""

from __future__ import annotations

import functools
import sys

import anyio
import httpcore
import httpx
import pytest
import respx
import vcr

from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.helpers import detail
from tests.processes import ran
from tests.rawserver import RawServer, certificates, drip, drop, hang, json, raw
from vpsorg_async import APIConnectionError, Client, OutcomeUnknownError, RetryPolicy
from vpsorg_async._transport.replaced import BELOW_THE_CLIENT, IN_THE_CLIENT, Watch


pytestmark = pytest.mark.anyio

TOKEN = "vps_live_0123456789abcdef"
PATH = "/servers/7/"
SPEC = {"name": "web-02", "plan_id": 1, "os_id": 5, "location": "us-west"}
QUICK = RetryPolicy(initial=0.001, maximum=0.001)
WATCHED = [
    (httpx.AsyncHTTPTransport, "handle_async_request"),
    (httpx.AsyncClient, "_send_single_request"),
    (httpx.AsyncClient, "_send_handling_redirects"),
    (httpx.AsyncClient, "_send_handling_auth"),
    (httpx.AsyncClient, "send"),
    (httpcore.AsyncConnectionPool, "handle_async_request"),
    (httpcore.AsyncHTTPConnection, "handle_async_request"),
    (httpcore.AsyncHTTP11Connection, "handle_async_request"),
]


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", PATH, json(200, detail(7, name="real")))
        running.answer("POST", "/servers/", json(201, detail(8, name="real")))
        yield running


@pytest.fixture
def spans():
    """Instrument all of httpx, and give what finished."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = HTTPXClientInstrumentor()
    yield lambda: instrumentor.instrument(tracer_provider=provider), exporter.get_finished_spans
    instrumentor.uninstrument()


def client_of(server, **options):
    return Client(TOKEN, base_url=server.base_url, **{"retry": QUICK, "timeout": 5, **options})


def mocked(name="mocked"):
    return httpx.Response(200, json=detail(7, name=name))


class Counted:
    """Replaces a function by one that counts its calls."""

    def __init__(self, monkeypatch, owner, name):
        self.count = 0
        original = getattr(owner, name)

        @functools.wraps(original)
        async def counting(*args, **options):
            self.count += 1
            return await original(*args, **options)

        monkeypatch.setattr(owner, name, counting)


class TestTools:
    async def test_respx_sees_calls_of_clients_made_before_and_after(self, server):
        """I1: respx replaces functions of httpcore."""
        async with client_of(server) as before:
            with respx.mock(assert_all_called=False) as router:
                router.get(f"{server.base_url}{PATH}").mock(return_value=mocked())
                router.post(f"{server.base_url}/servers/").mock(
                    return_value=httpx.Response(201, json=detail(8, name="mocked"))
                )
                async with client_of(server) as after:
                    names = [(await client.servers.get(7)).name for client in (before, after, before)]
                    names += [(await client.servers.create(**SPEC)).name for client in (before, after)]
                    seen = [call.request.headers["authorization"] for call in router.calls]
            unseen = len(server.requests)
            back = (await before.servers.get(7)).name

        assert names == ["mocked"] * 5
        assert seen == [f"Bearer {TOKEN}"] * 5
        assert (unseen, back) == (0, "real")

    @pytest.mark.parametrize("using", ["httpx", "httpcore"])
    async def test_respx_by_either_of_its_ways(self, server, using):
        """I1: it may replace a function of httpx's client in place of httpcore's."""
        async with client_of(server) as client:
            with respx.mock(using=using) as router:
                router.get(f"{server.base_url}{PATH}").mock(return_value=mocked())
                found = await client.servers.get(7)

        assert (found.name, server.requests) == ("mocked", [])

    async def test_a_router_that_has_no_answer_lets_nothing_out(self, server):
        """I1: a create of a test whose mock forgot it is no real create."""
        async with client_of(server) as client:
            with respx.mock, pytest.raises(AssertionError):
                await client.servers.create(**SPEC)

        assert server.connections_total == 0

    async def test_pytest_httpx_sees_calls(self, server, httpx_mock):
        """I1: it replaces the function of httpx's transport."""
        httpx_mock.add_response(url=f"{server.base_url}{PATH}", json=detail(7, name="mocked"))
        async with client_of(server) as client:
            found = await client.servers.get(7)

        assert (found.name, server.requests) == ("mocked", [])
        assert len(httpx_mock.get_requests()) == 1

    async def test_a_cassette_is_recorded_and_played(self, server, tmp_path):
        """I1: what it plays does not reach the API, from clients made before and after."""
        recorder = vcr.VCR(filter_headers=["authorization"])
        cassette = str(tmp_path / "cassette.yaml")
        async with client_of(server) as client:
            with recorder.use_cassette(cassette):
                recorded = await client.servers.get(7)
            with recorder.use_cassette(cassette, record_mode="none"):
                played = await client.servers.get(7)
            with recorder.use_cassette(cassette, record_mode="none"):
                async with client_of(server) as after:
                    again = await after.servers.get(7)

        assert recorded == played == again
        assert len(server.requests) == 1
        assert TOKEN not in (tmp_path / "cassette.yaml").read_text(encoding="utf-8")

    async def test_opentelemetry_has_a_span_for_each_attempt(self, server, spans):
        """I2: global instrumentation, put there after the client was made and used."""
        instrument, finished = spans
        async with client_of(server) as before:
            await before.servers.get(7)
            instrument()
            server.answer("GET", PATH, [json(503, {}), json(200, detail(7))])
            await before.servers.get(7)
            async with client_of(server) as after:
                await after.servers.get(7)

        assert [span.name for span in finished()] == ["GET"] * 3
        assert TOKEN not in str([dict(span.attributes) for span in finished()])

    async def test_one_client_of_httpx_s_is_instrumented(self, server, spans):
        """I2: `instrument_client(client.http)` is one span a call, above the retries."""
        _, finished = spans
        provider = TracerProvider()
        exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        async with client_of(server) as client:
            HTTPXClientInstrumentor.instrument_client(client.http, tracer_provider=provider)
            await client.servers.get(7)

        assert len(exporter.get_finished_spans()) == 1
        assert finished() == ()

    def test_a_replacement_that_was_there_before_the_library(self, server):
        """I1: nobody remembers who was imported first."""
        program = f"""
import asyncio, httpx
seen = []
async def mock(self, request):
    seen.append(request.method)
    return httpx.Response(200, json={{"id": 7, "name": "mocked", "status": "active"}})
httpx.AsyncHTTPTransport.handle_async_request = mock
from vpsorg_async import Client
async def main():
    async with Client("vps_test", base_url={server.base_url!r}) as client:
        print((await client.servers.get(7)).name, seen)
asyncio.run(main())
"""
        done = ran("-c", program)

        assert done.stdout.split() == ["mocked", "['GET']"]
        assert server.connections_total == 0


class TestWatch:
    @pytest.mark.parametrize(("owner", "name"), WATCHED, ids=lambda value: getattr(value, "__name__", value))
    async def test_each_function_that_tools_replace_is_called_once_a_call(self, server, monkeypatch, owner, name):
        """I1: put there between two calls, and taken away again."""
        async with client_of(server) as client:
            await client.servers.get(7)
            with monkeypatch.context() as patch:
                replaced = Counted(patch, owner, name)
                await client.servers.get(7)
                seen = replaced.count
                await client.servers.get(7)
            await client.servers.get(7)

        assert (seen, replaced.count) == (1, 2)
        assert len(server.requests) == 4

    async def test_a_class_that_is_replaced(self, server, monkeypatch):
        """I1: a transport of the test's own under httpx's name."""

        class Fake(httpx.AsyncBaseTransport):
            def __init__(self, **_options):
                pass

            async def handle_async_request(self, _request):
                return mocked()

        monkeypatch.setattr(httpx, "AsyncHTTPTransport", Fake)
        async with client_of(server) as client:
            found = await client.servers.get(7)

        assert (found.name, server.requests) == ("mocked", [])

    @pytest.mark.parametrize("way", ["class", "connect"])
    async def test_a_mock_that_comes_while_a_tracer_is_there(self, server, monkeypatch, way):
        """I1: a connection that is open by the tracer's way is none for a mock, nor one mock's for another."""

        class Fake(httpx.AsyncHTTPTransport):
            async def handle_async_request(self, _request):
                return mocked()

        async def refused(*_arguments, **_options):
            raise httpcore.ConnectError("a mock of the network")

        async with client_of(server, retry=RetryPolicy.none()) as client:
            traced = Counted(monkeypatch, httpx.AsyncHTTPTransport, "handle_async_request")
            for _ in range(2):
                assert (await client.servers.get(7)).name == "real"
            connections = {request.connection for request in server.requests}
            with monkeypatch.context() as patch:
                if way == "class":
                    patch.setattr(httpx, "AsyncHTTPTransport", Fake)
                    assert (await client.servers.get(7)).name == "mocked"
                else:
                    patch.setattr(httpcore.AnyIOBackend, "connect_tcp", refused)
                    patch.setattr(httpcore.TrioBackend, "connect_tcp", refused)
                    with pytest.raises(APIConnectionError, match="a mock of the network"):
                        await client.servers.get(7)
            assert (await client.servers.get(7)).name == "real"

        assert len(connections) == 1
        assert (traced.count, len(server.requests)) == (3 + (way == "connect"), 3)

    async def test_a_mock_in_the_place_of_the_whole_transport_gives_a_response_with_its_request(
        self, server, monkeypatch
    ):
        """I1: it may leave that to httpx, which the short way leaves out."""
        transport = httpx.MockTransport(lambda _request: mocked())
        monkeypatch.setattr(httpx.AsyncClient, "_transport_for_url", lambda *_: transport)

        async with client_of(server) as client:
            response = await client.request("GET", PATH)

        assert (response.url.path, server.requests) == (f"/api/v1{PATH}", [])

    def test_nothing_is_replaced_by_itself(self):
        assert not BELOW_THE_CLIENT.is_replaced()
        assert not IN_THE_CLIENT.is_replaced()

    def test_no_watched_name_has_moved(self):
        """Where this fails, the missing names are to be found anew in httpx or httpcore."""
        assert [*BELOW_THE_CLIENT.missing_names, *IN_THE_CLIENT.missing_names] == []
        assert Watch("httpx.AsyncClient.gone", "httpx.Gone.send", "absent.Gone").missing_names == [
            "httpx.AsyncClient.gone",
            "httpx.Gone.send",
            "absent.Gone",
        ]

    def test_a_package_that_is_not_imported_is_looked_at_when_it_is(self, monkeypatch):
        """I1: respx imports httpcore and replaces its functions at once."""
        package = type(sys)("late_package")
        package.URL, package.Pool = httpx.URL, type("Pool", (), {"handle": lambda _self: None, "__module__": "late"})
        watch = Watch("late_package.Pool.handle")
        before = watch.is_replaced()
        monkeypatch.setitem(sys.modules, "late_package", package)

        assert (before, watch.is_replaced()) == (False, True)


class TestPromises:
    """The way through httpx's own transport keeps what the pool promises."""

    @pytest.fixture(autouse=True)
    def tracer(self, monkeypatch):
        return Counted(monkeypatch, httpx.AsyncHTTPTransport, "handle_async_request")

    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    async def test_connections_are_kept_and_never_more_than_allowed(self, tracer, tls):
        """P1: 30 calls over 3 connections."""
        with RawServer(tls=certificates().valid if tls else None) as server:
            server.answer("GET", PATH, json(200, detail(7)))
            client = client_of(server, max_connections=3, ssl_context=certificates().trust)
            async with client, anyio.create_task_group() as group:
                for _ in range(30):
                    group.start_soon(client.servers.get, 7)

            assert (server.connections_peak, server.connections_total) == (3, 3)
        assert tracer.count == 30

    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    @pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
    async def test_bytes_that_nobody_asked_for_are_nobody_s_answer(self, tls, apart):
        """P1: they may lie in the buffers of TLS or of anyio, where httpcore does not look."""
        good, foreign = json(200, detail(7)).data, json(200, detail(666)).data
        with RawServer(tls=certificates().valid if tls else None) as server:
            reply = raw(good + foreign, close=False)
            server.answer("GET", PATH, drip(reply, len(good)) if apart else reply)
            server.answer("GET", "/servers/8/", json(200, detail(8)))
            async with client_of(server, ssl_context=certificates().trust) as client:
                for turn in range(10):
                    first = await client.servers.get(7)
                    await server.until(lambda done=2 * turn + 1: server.performed >= done)
                    second = await client.servers.get(8)
                    assert (first.id, second.id) == (7, 8)

    @pytest.mark.parametrize("header", ["x\r\nX-B: y", "x\ny", "\x00"])
    async def test_a_header_that_would_be_read_otherwise_is_not_sent(self, server, header):
        """T3: no connection is opened for it."""
        async with client_of(server) as client:
            with pytest.raises(APIConnectionError, match="a character that it must not have"):
                await client.http.get("/x/", headers=[(b"X-A", header.encode())])

        assert server.connections_total == 0

    async def test_cancelled_calls_leave_no_connection_behind(self, server):
        """P1: and none comes back to the pool."""
        server.answer("GET", "/servers/9/", hang())
        async with client_of(server, max_connections=2) as client:
            for _ in range(6):
                with anyio.move_on_after(0.02):
                    await client.servers.get(9)
            found = await client.servers.get(7)
            await server.until(lambda: server.connections_open == 1)

        assert found.id == 7

    async def test_a_create_whose_response_is_lost_is_sent_once(self, server):
        """C1: httpcore tells that a byte has left."""
        server.answer("POST", "/servers/", drop())
        server.answer("GET", "/servers/", json(200, {"count": 0, "next": None, "previous": None, "results": []}))
        async with client_of(server, timeout=2) as client:
            with pytest.raises(OutcomeUnknownError):
                await client.servers.create(**SPEC)

        assert len([request for request in server.requests if request.method == "POST"]) == 1

    async def test_the_token_goes_to_the_api_s_origin_alone(self, server):
        """R15: also where somebody else's transport sends."""
        with RawServer() as other:
            other.answer("GET", "/x/", json(200, {}))
            async with client_of(server) as client:
                await client.http.get(f"{other.base_url}/x/")
                await client.servers.get(7)

            assert "authorization" not in other.requests[0].headers
        assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"

    @pytest.mark.parametrize("trust", ["trust", "unknown"])
    async def test_the_ssl_context_is_the_client_s(self, trust):
        """R2: a certificate that does not verify is final."""
        tls = certificates().valid if trust == "trust" else certificates().unknown
        with RawServer(tls=tls) as secure:
            secure.answer("GET", PATH, json(200, detail(7)))
            async with client_of(secure, ssl_context=certificates().trust) as client:
                if trust == "trust":
                    assert (await client.servers.get(7)).id == 7
                else:
                    with pytest.raises(APIConnectionError, match="certificate does not verify"):
                        await client.servers.get(7)


@pytest.mark.parametrize(
    ("raised", "kind", "sent"),
    [(httpx.ReadTimeout, OutcomeUnknownError, 1), (httpx.ConnectError, APIConnectionError, 4)],
)
async def test_a_mock_that_fails_is_judged_by_what_it_raises(server, raised, kind, sent):
    """I1: a create of which it tells nothing may have been carried out."""
    with respx.mock as router:
        create = router.post(f"{server.base_url}/servers/").mock(side_effect=raised)
        router.get(f"{server.base_url}/servers/").mock(return_value=httpx.Response(200, json={"results": []}))
        async with client_of(server, timeout=2) as client:
            with pytest.raises(kind):
                await client.servers.create(**SPEC)

        assert create.call_count == sent
    assert server.connections_total == 0
