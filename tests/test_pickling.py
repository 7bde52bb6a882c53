"""Models and errors survive pickle, copies and the way to another process: whole, without a client or a secret."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys

import attrs
import httpx
import pytest

import vpsorg_async

from tests.helpers import ROOT, action, detail
from tests.rawserver import RawServer, closed_port, drop, hang, json, text
from vpsorg_async import (
    Action,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    Client,
    ConfigurationError,
    FleetReport,
    Outcome,
    OutcomeUnknownError,
    Progress,
    ResponseError,
    RetryPolicy,
    Server,
    ServerChange,
    ServerRef,
    ServerSpec,
    StatusSeen,
    VPSError,
    WaitError,
    WaitTimeoutError,
)


TOKEN = "vps_secret_token"
ERRORS = [kind for _, kind in inspect.getmembers(vpsorg_async, inspect.isclass) if issubclass(kind, VPSError)]
SERVER = Server.from_dict(detail(7, status="stopped", new_field=[1]))
REPLAY = """
import pickle, sys
data = pickle.loads(sys.stdin.buffer.read())
sys.stdout.buffer.write(pickle.dumps([(type(item).__name__, str(item), item) for item in data]))
"""


def made(kind):
    """Return an error of *kind* with something in every attribute, a cause and a note."""
    options = {"request_summary": "POST /servers/"}
    if issubclass(kind, APIStatusError):
        headers = httpx.Headers({"X-Request-ID": "r-1"})
        options |= {"status_code": 429, "message": "too many", "headers": headers, "body": b"{}", "attempts": 3}
        options |= {"fields": {"name": ["bad"]}, "request_id": "r-1", "retry_after": 1.5, "sent": True}
    elif issubclass(kind, APIConnectionError):
        options |= {"sent": True}
    elif issubclass(kind, OutcomeUnknownError):
        options |= {"candidates": [SERVER]}
    elif issubclass(kind, WaitError):
        options |= {"server": SERVER, "history": [StatusSeen("stopped", 1.0)]}
    error = kind("it went wrong", **options)
    error.__cause__ = APITimeoutError("no response", sent=True)
    error.__cause__.__cause__ = ConnectionResetError("reset")
    error.add_note("a note")
    return error


def through_pickle(item, protocol=pickle.DEFAULT_PROTOCOL):
    return pickle.loads(pickle.dumps(item, protocol))


def through_another_process(item):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", REPLAY],
        input=pickle.dumps([item]),
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == b""
    [(name, shown, back)] = pickle.loads(done.stdout)
    assert (name, shown) == (type(item).__name__, str(item))
    return back


WAYS = [through_pickle, copy.deepcopy, copy.copy, through_another_process]


def facts_of(error):
    """Return all that an error has, causes included, as comparable data."""
    if error is None:
        return None
    return type(error), str(error), repr(error), vars(error), facts_of(error.__cause__)


class TestErrors:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("kind", ERRORS)
    def test_every_error_comes_out_whole(self, kind, way):
        """P6: class, text, attributes, notes and causes."""
        error = made(kind)

        back = way(error)

        assert back is not error
        assert facts_of(back) == facts_of(error)

    @pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
    def test_every_protocol_of_pickle_will_do(self, protocol):
        """P6: also the older protocols."""
        error = made(WaitTimeoutError)

        assert facts_of(through_pickle(error, protocol)) == facts_of(error)

    def test_there_are_as_many_as_the_tree_has(self):
        """P6: no class is forgotten."""
        # And one of fleets.
        assert len(ERRORS) == 23 + 1

    def test_a_cause_of_a_class_that_pickle_cannot_find_is_kept_as_text(self):
        """P6: the cause is kept in a form that can be pickled."""

        class LocalError(Exception):
            pass

        error = ResponseError("odd")
        error.__cause__ = LocalError("of one's own")

        back = through_pickle(error)

        assert str(back.__cause__).endswith("LocalError: of one's own")
        assert type(back.__cause__) is RuntimeError

    def test_a_cause_that_takes_more_than_a_text_is_kept_as_text(self):
        """P6: the cause is kept, whatever its constructor wants."""
        error = ResponseError("odd")
        error.__cause__ = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

        back = through_pickle(error)

        assert str(back.__cause__) == (
            "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
        )

    def test_timeouts_are_timeouts_on_the_other_side_and_print_no_errno(self):
        """P6: a class that is also an OSError."""
        back = through_pickle(made(APITimeoutError))

        assert isinstance(back, TimeoutError)
        assert (str(back), back.sent) == ("it went wrong", True)


@pytest.mark.anyio
class TestRealErrors:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (json(400, {"name": ["bad"]}, {"X-Request-ID": "r"}), APIStatusError),
            (json(401, {"detail": "no"}), APIStatusError),
            (json(500, {}), APIStatusError),
            (text(200, "<html>", "text/html"), ResponseError),
            (drop(reset=True), APIConnectionError),
            (hang(), APITimeoutError),
        ],
        ids=["400", "401", "500", "html", "reset", "hang"],
    )
    async def test_what_calls_raise_comes_out_whole_and_without_the_token(self, answer, kind, way):
        """P6: errors as they come from the wire."""
        quick = RetryPolicy(initial=0.001, maximum=0.002)
        with RawServer() as server:
            server.answer("GET", "/servers/7/", answer)
            timeout = 0.3 if kind is APITimeoutError else 30
            async with Client(TOKEN, base_url=server.base_url, retry=quick, timeout=timeout) as client:
                with pytest.raises(kind) as caught:
                    await client.servers.get(7)

        back = way(caught.value)

        assert (type(back), str(back)) == (type(caught.value), str(caught.value))
        assert vars(back) == vars(caught.value)
        assert TOKEN.encode() not in pickle.dumps(back)

    async def test_an_unknown_create_keeps_its_causes(self):
        """P6: with what lost the response, and what made polling fail."""
        with RawServer() as server:
            server.answer("POST", "/servers/", drop())
            server.answer("GET", "/servers/", json(403, {"detail": "no"}))
            async with Client(TOKEN, base_url=server.base_url, timeout=0.5) as client:
                with pytest.raises(OutcomeUnknownError) as caught:
                    await client.servers.create(name="a", plan_id=1, os_id=5, location="us-west")

        back = through_pickle(caught.value)

        assert facts_of(back)[:3] == facts_of(caught.value)[:3]
        assert str(back.__cause__) == str(caught.value.__cause__)

    async def test_a_refused_connection(self):
        """P6: with the cause that the operating system gave."""
        with closed_port() as port:
            base_url = f"http://127.0.0.1:{port}/api/v1"
            async with Client(TOKEN, base_url=base_url, retry=RetryPolicy.none()) as client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.servers.get(7)

        back = through_pickle(caught.value)

        assert (str(back), type(back.__cause__)) == (str(caught.value), type(caught.value.__cause__))


@pytest.mark.anyio
class TestModels:
    @pytest.mark.parametrize("way", WAYS)
    async def test_a_server_comes_out_whole_and_without_its_client(self, way):
        """P6: all data of a `Server`; its methods say that they have no client."""
        with RawServer() as server:
            server.answer("GET", "/servers/7/", json(200, detail(7, new_field={"a": [1]})))
            async with Client(TOKEN, base_url=server.base_url) as client:
                found = await client.servers.get(7)

                back = way(found)

                assert (back, back.extra, back.to_dict()) == (found, found.extra, found.to_dict())
                with pytest.raises(ConfigurationError) as caught:
                    await back.reboot()
        assert str(caught.value) == "this Server is a copy without a client: use client.servers.get(7)"
        assert TOKEN.encode() not in pickle.dumps(found)

    @pytest.mark.parametrize("way", WAYS)
    async def test_an_action_comes_out_whole_and_without_its_client(self, way):
        """P6: all data of an `Action`; it cannot be waited for."""
        with RawServer() as server:
            server.answer("POST", "/servers/7/start/", json(200, action(7)))
            async with Client(TOKEN, base_url=server.base_url) as client:
                started = await client.servers.start(7)

                back = way(started)

                assert (
                    back
                    == started
                    == Action(name="start", status="success", message="Server is starting", server=back.server)
                )
                assert back.server == ServerRef(id=7, name="web-01", status="starting")
                with pytest.raises(ConfigurationError) as caught:
                    await back.wait()
        assert str(caught.value).startswith("this Action is a copy without a client: ")
        assert TOKEN.encode() not in pickle.dumps(started)

    def test_a_copy_is_apart_from_its_original(self):
        """P6: what is changed in a deep copy's `extra` is not changed in the original."""
        back = copy.deepcopy(SERVER)
        back.extra["new_field"].append(2)

        assert SERVER.extra == {"new_field": [1]}
        assert attrs.asdict(back)["id"] == 7


SPEC = ServerSpec(name="app-0", plan_id=1, os_id=5, location="us-west")


class TestFleets:
    @pytest.mark.parametrize("way", WAYS)
    def test_a_report_comes_out_whole(self, way):
        """P6: every outcome of it, with item, server, value and error, in its order."""
        error = made(WaitTimeoutError)
        report = FleetReport(
            action="create",
            outcomes=(
                Outcome(index=0, item=SERVER, state="succeeded", server=SERVER, value=[1]),
                Outcome(index=1, item=SPEC, state="failed", server=SERVER, error=error),
                Outcome(index=2, item="8", state="unknown", error=made(OutcomeUnknownError)),
                Outcome(index=3, item=9, state="skipped"),
            ),
            stopped_by=error,
        )

        back = way(report)

        assert (type(back), str(back), len(back)) == (FleetReport, str(report), 4)
        for one, other in zip(back, report, strict=True):
            assert attrs.evolve(one, error=None) == attrs.evolve(other, error=None)
            assert facts_of(one.error) == facts_of(other.error)
        assert facts_of(back.stopped_by) == facts_of(error)
        with pytest.raises(ExceptionGroup) as caught:
            back.raise_for_failures()
        assert len(caught.value.exceptions) == 2

    @pytest.mark.anyio
    @pytest.mark.parametrize("way", [way for way in WAYS if way is not copy.copy])
    async def test_that_of_a_run_has_no_client_and_no_token(self, way):
        """P6: as it comes from the wire."""
        with RawServer() as server:
            server.answer("POST", "/servers/7/start/", json(200, action(7)))
            async with Client(TOKEN, base_url=server.base_url) as client:
                given = Server.from_dict(detail(7, status="stopped"))
                report = await client.fleet([given, 8]).start(wait=False)

                back = way(report)

                assert str(back) == str(report)
                with pytest.raises(ConfigurationError):
                    await back[0].value.wait()
        assert TOKEN.encode() not in pickle.dumps(report)

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        "item",
        [
            SPEC,
            Progress(total=3, begun=2, succeeded=1, failed=0, pending=0, unknown=0, skipped=0),
            ServerChange(before=None, after=SERVER),
        ],
        ids=lambda item: type(item).__name__,
    )
    def test_plain_data_does_too(self, item, way):
        """P6: what a fleet is made from, and what it and a watch tell."""
        assert way(item) == item
