"""Prometheus: what a scrape shows of calls, waits, fleets and the state of the clients."""

from __future__ import annotations

import gc

import anyio
import pytest

from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from tests.helpers import detail
from tests.rawserver import RawServer, hang, json
from vpsorg_async import Client, NotFoundError, RetryPolicy
from vpsorg_async.integrations.prometheus import instrument, uninstrument
from vpsorg_async.sandbox import Sandbox


pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(initial=0.005, maximum=0.01)


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def server():
    with RawServer() as running:
        running.answer("GET", "/servers/7/", json(200, detail(7)))
        running.answer("GET", "/servers/8/", json(404, {}))
        yield running


def client_of(server, registry, **options):
    client = Client("vps_5ecret", base_url=server.base_url, retry=QUICK, **options)
    instrument(client, registry=registry)
    return client


GET = {"method": "GET", "template": "/servers/{id}/"}


async def test_calls_are_counted_and_measured_by_template_and_status(server, registry):
    """I2: a call is one, however many attempts it took."""
    server.answer("GET", "/servers/7/", [json(500, {}), json(200, detail(7))])

    async with client_of(server, registry) as client:
        await client.servers.get(7)
        await client.servers.get(7)
        with pytest.raises(NotFoundError):
            await client.servers.get(8)

    value = registry.get_sample_value
    assert value("vpsorg_calls_total", {**GET, "status": "200", "outcome": "done"}) == 2
    assert value("vpsorg_calls_total", {**GET, "status": "404", "outcome": "NotFoundError"}) == 1
    assert value("vpsorg_call_duration_seconds_count", {**GET, "status": "200"}) == 2
    assert value("vpsorg_call_duration_seconds_bucket", {**GET, "status": "404", "le": "+Inf"}) == 1
    assert value("vpsorg_call_retries_total", GET) == 1
    assert value("vpsorg_call_queued_seconds_count") == 3


async def test_a_call_without_a_response_says_what_came_instead(server, registry):
    """I2: the outcome tells."""
    server.answer("GET", "/servers/9/", hang())

    async with client_of(server, registry, timeout=0.1) as client:
        with pytest.raises(TimeoutError):
            await client.servers.get(9)

    labels = {**GET, "status": "", "outcome": "APITimeoutError"}
    assert registry.get_sample_value("vpsorg_calls_total", labels) == 1


async def test_waits_and_items_of_fleets_are_counted_by_how_they_ended(registry):
    """I2: by outcome, and by action and state."""
    sandbox = Sandbox(servers=3)

    async with sandbox.client() as client:
        instrument(client, registry=registry)
        await client.fleet([*(one["id"] for one in sandbox.servers), 999]).reboot(wait=True)
        with pytest.raises(TimeoutError):
            await client.servers.wait_until(sandbox.servers[0]["id"], status="suspended", timeout=30)

    value = registry.get_sample_value
    assert value("vpsorg_fleet_items_total", {"action": "reboot", "state": "succeeded"}) == 3
    assert value("vpsorg_fleet_items_total", {"action": "reboot", "state": "failed"}) == 1
    assert value("vpsorg_waits_ended_total", {"outcome": "done"}) == 3
    assert value("vpsorg_waits_ended_total", {"outcome": "WaitTimeoutError"}) == 1
    assert value("vpsorg_wait_duration_seconds_sum", {"outcome": "WaitTimeoutError"}) == pytest.approx(30)
    assert value("vpsorg_polls_total", {"failed": "false"}) > 0


async def test_gauges_show_the_clients_at_the_moment_of_the_scrape(server, registry):
    """I2: added up over the clients of the registry."""
    server.answer("GET", "/servers/9/", hang())
    server.answer("POST", "/servers/7/stop/", json(429, {}, {"Retry-After": "1000"}))

    async with (
        client_of(server, registry, max_connections=1) as one,
        client_of(server, registry, timeout=None) as two,
        anyio.create_task_group() as group,
    ):
        for client in (one, one, two):
            group.start_soon(client.servers.get, 9)
        group.start_soon(two.servers.stop, 7)
        await server.arrived(2, "GET")
        await server.arrived(1, "POST")
        await paused(two)
        value = registry.get_sample_value
        assert (value("vpsorg_in_flight"), value("vpsorg_queued")) == (2, 1)
        assert 0 < value("vpsorg_paused_seconds", {"calls": "other changes"}) <= 60
        assert value("vpsorg_retry_budget") == 20
        assert value("vpsorg_call_pauses_total", {"whose": "other changes"}) == 1
        group.cancel_scope.cancel()

    assert registry.get_sample_value("vpsorg_in_flight") == 0


async def paused(client):
    with anyio.fail_after(60):
        while not client.stats().paused_for:
            await anyio.lowlevel.checkpoint()


async def test_what_is_scraped_holds_no_secret_and_comes_from_another_thread(server, registry):
    """I2: by HTTP, as Prometheus does."""
    async with client_of(server, registry) as client:
        await client.servers.get(7)
        served, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
        try:
            text = await anyio.to_thread.run_sync(scraped, served.server_port)
        finally:
            served.shutdown()
            served.server_close()
            thread.join()

    assert 'vpsorg_calls_total{method="GET",outcome="done",status="200",template="/servers/{id}/"} 1.0' in text
    assert "5ecret" not in text


def scraped(port):
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        return response.read().decode()


async def test_one_that_is_instrumented_twice_counts_once_and_one_that_is_no_more_not_at_all(server, registry):
    async with client_of(server, registry) as client:
        instrument(client.with_options(timeout=3), registry)
        await client.servers.get(7)
        uninstrument(client, registry)
        uninstrument(client, registry)
        await client.servers.get(7)

    assert registry.get_sample_value("vpsorg_calls_total", {**GET, "status": "200", "outcome": "done"}) == 1


async def test_arguments_of_a_wrong_type_are_named_and_nothing_is_registered(server, registry):
    async with Client("vps_test", base_url=server.base_url) as client:
        with pytest.raises(TypeError, match="client must be a Client, not <"):
            instrument(client.servers, registry=registry)
        with pytest.raises(TypeError, match="registry must be a CollectorRegistry, not None"):
            instrument(client, registry=None)

    assert list(registry.collect()) == []


def test_metrics_keep_no_client(registry):
    instrument(Client("vps_test"), registry)
    gc.collect()

    assert registry.get_sample_value("vpsorg_retry_budget") == 0
    assert b"vpsorg_calls_total" in generate_latest(registry)
