"""Tests the parts of the benchmarks: server, guard, profile, situations."""

from __future__ import annotations

import gc
import json
import math
import re
import subprocess
import sys
import tracemalloc

import anyio
import httpx
import pytest

from benchmarks import fleets, guard, profile, shapes, situations
from benchmarks.peers import OURS, PEERS, RAW
from benchmarks.samples import ALL
from benchmarks.server import Protocol, response_to
from tests.helpers import ROOT
from vpsorg_async import Client, PollPolicy


class Transport:
    """Stores what a protocol writes."""

    def __init__(self):
        self.written, self.closed = b"", False

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True


def transport_after(*pieces):
    transport, protocol = Transport(), Protocol("http")
    protocol.connection_made(transport)
    for piece in pieces:
        protocol.data_received(piece)
    return transport


DETAIL = b"GET /api/v1/servers/12345/ HTTP/1.1\r\nHost: localhost:1\r\n\r\n"


@pytest.fixture(scope="module")
def port():
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield json.loads(process.stdout.readline())["http"]
        process.stdin.close()


class TestServer:
    @pytest.mark.parametrize("cut", [1, 20, len(DETAIL) - 1])
    def test_a_request_in_pieces_gets_one_response(self, cut):
        transport = transport_after(DETAIL[:cut], DETAIL[cut:])

        assert transport.written == response_to("GET", "/api/v1/servers/12345/", "http://localhost:1")

    def test_the_same_request_gets_the_same_bytes_again_also_in_one_piece(self):
        once = transport_after(DETAIL).written

        assert transport_after(DETAIL * 3).written == once * 3

    def test_a_body_is_not_read_as_a_request(self):
        post = b"POST /api/v1/servers/7/stop/ HTTP/1.1\r\nHost: h\r\ncontent-length: 64\r\n\r\n"

        transport = transport_after(post, b"x" * 60, b"x" * 4, DETAIL)

        first, second = re.findall(rb"\r\n\r\n({.*?})(?=HTTP|$)", transport.written)
        assert json.loads(first)["server"]["status"] == "stopping"
        assert json.loads(second)["id"] == 12345

    def test_connection_close_ends_the_connection_after_the_response(self):
        transport = transport_after(DETAIL[:-2] + b"Connection: close\r\n\r\n")

        assert transport.written.startswith(b"HTTP/1.1 200 ")
        assert transport.closed

    def test_a_chunked_request_is_refused(self):
        transport = transport_after(DETAIL[:-2] + b"Transfer-Encoding: chunked\r\n\r\n")

        assert transport.written.startswith(b"HTTP/1.1 411 ")
        assert transport.closed

    @pytest.mark.parametrize(
        "target",
        ["/", "/api/v1/servers/7/start/", "/api/v1/servers/x/", "/api/v1/serversx", "/api/v1/servers/?page=101"],
    )
    def test_an_unknown_target_is_404(self, target):
        assert response_to("GET", target, "http://h").startswith(b"HTTP/1.1 404 ")

    @pytest.mark.parametrize("collection", shapes.DIALECTS)
    def test_the_responses_of_all_apis_are_about_equally_long(self, collection):
        dialect, ours = shapes.DIALECTS[collection], shapes.DIALECTS["/api/v1/servers"]

        for theirs, our in ((dialect.detail, ours.detail), (dialect.server, ours.server)):
            ratio = len(json.dumps(theirs(shapes.ID))) / len(json.dumps(our(shapes.ID)))
            assert 0.9 < ratio < 1.1

    @pytest.mark.parametrize("prefix", ["", "/delay-1"])
    @pytest.mark.anyio
    async def test_a_client_lists_all_its_servers_over_a_real_socket(self, port, prefix):
        async with Client("vps_t", base_url=f"http://127.0.0.1:{port}{prefix}/api/v1") as client:
            servers = await client.servers.list()
            server = await client.servers.get(servers[-1])

        assert [server.id for server in servers] == [*range(1, shapes.SERVERS + 1)]
        assert server.resource_usage is not None


NOISE = 16_000
"""Bytes of objects that come and go."""


async def many_calls(client, count, *, at_once=100):
    async def worker():
        for _ in range(count // at_once):
            await client.servers.get(shapes.ID)

    async with anyio.create_task_group() as group:
        for _ in range(at_once):
            group.start_soon(worker)


def bytes_held():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


class TestLife:
    @pytest.mark.heavy
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.anyio
    async def test_20_000_calls_of_one_client_do_not_grow_its_memory(self, port):
        async with Client("vps_t", base_url=f"http://127.0.0.1:{port}/api/v1") as client:
            tracemalloc.start()
            try:
                await many_calls(client, 2_000)
                before = bytes_held()

                await many_calls(client, 20_000)

                assert bytes_held() - before < 20_000 + NOISE
            finally:
                tracemalloc.stop()


class TestFleets:
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.anyio
    async def test_an_item_is_a_command_and_some_polls(self, monkeypatch):
        monkeypatch.setattr(fleets, "ACCOUNT", 40)

        figures = await fleets.run(40)

        assert 1 < figures.requests <= 3
        assert figures.cpu > 0


class TestGuard:
    @pytest.mark.parametrize(
        ("measured", "found"),
        [
            ({"a": 0.30, "b": 1.0}, []),
            ({"a": 0.39, "b": 1.3}, []),
            ({"a": 0.41, "b": 1.0}, ["a: 0.410 of raw httpx, 0.300 recorded"]),
            ({"a": 0.10, "b": 1.4}, ["b: 1.400 of raw httpx, 1.000 recorded"]),
            ({"a": 0.10}, ["b: not measured, 1.000 of raw httpx recorded"]),
            ({"a": 0.10, "b": 0.1, "new": 9.0}, []),
        ],
    )
    def test_a_ratio_a_third_above_the_recorded_one_is_worse(self, measured, found):
        assert guard.worse(measured, {"a": 0.30, "b": 1.0}) == found

    def test_a_regression_of_one_half_is_found_in_noise_that_triples_some_turns(self):
        noise = [1.0, 1.1, 3.0, 0.9, 1.0, 1.0, 2.8]
        before = {OURS: {"cpu": {"100": [2.0] * 7}}, RAW: {"cpu": {"100": [8.0] * 7}}}
        same = {OURS: {"cpu": {"100": [2.0 * one for one in noise]}}, RAW: {"cpu": {"100": [8.0] * 7}}}
        slower = {OURS: {"cpu": {"100": [3.0 * one for one in noise]}}, RAW: {"cpu": {"100": [8.0] * 7}}}

        recorded = guard.ratios(before)

        assert guard.worse(guard.ratios(same), recorded) == []
        assert len(guard.worse(guard.ratios(slower), recorded)) == 1

    def test_what_events_cost_is_measured_where_nobody_listens(self, monkeypatch, capsys):
        monkeypatch.setattr(guard, "ROUNDS", 3)
        assert guard.events_of_a_call() > 0

        for microseconds, code in ((0.4, 0), (1.1, 1)):
            monkeypatch.setattr(guard, "events_of_a_call", lambda cost=microseconds: cost)
            monkeypatch.setattr(guard, "measured", lambda recorded: recorded)
            assert guard.main([]) == code
        assert "EVENTS: 1.10 µs a call when nobody listens" in capsys.readouterr().out

    def test_it_measures_the_ratios_that_are_recorded(self):
        samples = {peer: {"cpu": {place: [1.0] for place in ("1", "10", "100", ALL, "import")}} for peer in (OURS, RAW)}

        recorded = json.loads(guard.RECORDED.read_text())
        assert set(guard.ratios(samples)) == set(recorded["ratios"])
        assert {f"an item of {cell}" for cell in guard.FLEETS} == set(recorded["requests"])

    @pytest.mark.parametrize(
        ("measured", "found"),
        [
            ({"a": 5.55}, []),
            ({"a": 5.54, "new": 9.0}, []),
            ({"a": 5.551}, ["a: 5.551 requests, 5.550 recorded"]),
            ({}, ["a: not measured, 5.550 requests recorded"]),
        ],
    )
    def test_one_request_above_the_recorded_ones_is_too_many(self, measured, found):
        assert guard.more(measured, {"a": 5.55}) == found


class TestProfile:
    @pytest.mark.parametrize(
        ("file", "group"),
        [
            ("/x/site-packages/httpx/_urls.py", "httpx"),
            ("/x/vpsorg_async/_transport/response_parser.py", "this library: parser"),
            ("/x/vpsorg_async/_request/retry_transport.py", "this library: round trip"),
            ("/x/vpsorg_async/_servers.py", "this library: the rest"),
            ("/home/vpsorg_async/.venv/lib/anyio/_core/_tasks.py", "anyio"),
            (r"C:\x\asyncio\events.py", "asyncio"),
            ("<frozen abc>", "the rest of the standard library"),
        ],
    )
    def test_a_file_belongs_to_the_first_group_that_fits(self, file, group):
        assert profile.group_of(file).startswith(group)

    def test_a_built_in_counts_for_its_caller_and_waiting_for_no_group(self):
        httpx_, asyncio_ = ("/x/httpx/_urls.py", 1, "f"), ("/x/asyncio/events.py", 1, "g")
        stats = {
            httpx_: (1, 1, 1.0, 1.0, {}),
            asyncio_: (1, 1, 1.0, 1.0, {}),
            ("~", 0, "<built-in method len>"): (2, 2, 2.0, 2.0, {httpx_: (1, 1, 2.0, 2.0)}),
            ("~", 0, "<method 'poll' of 'select.epoll' objects>"): (1, 1, 9.0, 9.0, {asyncio_: (1, 1, 9.0, 9.0)}),
            ("/x/benchmarks/peers/vps.py", 1, "h"): (1, 1, 9.0, 9.0, {}),
        }

        shares = profile.shares(stats)

        assert list(shares.values()) == [0.75, 0.25]
        assert next(iter(shares)).startswith("httpx")


class TestScale:
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.anyio
    async def test_a_limit_refuses_some_requests_and_all_waits_succeed(self):
        figures = await situations.waits(40, 2, detail=True, poll=PollPolicy())

        assert figures["failed"] == 0
        assert 0 < figures["refused"] < figures["requests"]
        assert 0 <= figures["late"] <= figures["late most"] < figures["seconds"]

    @pytest.mark.parametrize("apart", [False, True])
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.anyio
    async def test_a_fleet_without_a_limit_has_neither_failures_nor_refusals(self, apart):
        figures = await situations.fleet(30, math.inf, at_once=10, apart=apart)

        assert figures["failed"] == figures["refused"] == 0
        assert figures["requests"] >= 30

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.anyio
    async def test_a_fleet_on_a_slow_api_succeeds_though_a_turn_comes_after_the_timeout_of_a_call(self):
        figures = await situations.fleet(100, 2, at_once=100, apart=False)

        assert figures["failed"] == 0
        assert figures["seconds"] > 30


def test_every_peer_has_a_module_that_can_connect():
    for peer in PEERS.values():
        assert "connect" in (ROOT / "benchmarks" / "peers" / f"{peer.module}.py").read_text()


def test_only_the_peers_modules_import_packages_of_the_extra():
    code = "import sys; from benchmarks import __main__, guard, profile, scale, situations; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert not {"aiohttp", "msgspec", "httpx2", "niquests", "pydo", "hcloud", "linode_api4"} & {*loaded.split()}
    assert httpx.__name__ in loaded.split()
