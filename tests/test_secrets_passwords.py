"""A password in a response is given to whoever asks for it, and is shown nowhere else."""

from __future__ import annotations

import copy
import json
import pickle
import traceback

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail, page
from tests.helpers_models import JSON, OBJECTS
from tests.rawserver import json as reply
from tests.rawserver import text as text_reply
from vpsorg_async import (
    APIStatusError,
    Client,
    FleetReport,
    OutcomeUnknownError,
    ResponseError,
    RetryPolicy,
    Server,
    ServerSpec,
    VPSError,
    WaitTimeoutError,
)
from vpsorg_async._request import codec
from vpsorg_async._secrets import (
    DEPTH_LIMIT,
    Hidden,
    is_secret,
    is_secret_name,
    masked_json,
    split,
    without_secrets,
)


SECRET = "hunter2-correct-horse"
NAMES = ["password", "root_password", "rootPassword", "API-Token", "token", "client_secret", "privateKey", "api_key"]
SPEC = ServerSpec(name="web-02", plan_id=1, os_id=5, location="us-west")
CREATED = detail(
    9,
    status="provisioning",
    name="web-02",
    password=SECRET,
    root_password=SECRET,
    console={"url": "https://c.example", "token": SECRET, "users": [{"name": "root", "passwd": SECRET}]},
    plan={"id": 1, "name": "Standard VPS", "api_key": SECRET},
    hostname={"password": SECRET},
)


def shown_by(server):
    """Return everything that a server may show without being asked for its secrets."""
    return [
        repr(server),
        str(server),
        f"{server} {server!r}",
        json.dumps(server.to_dict()),
        json.dumps(codec.converter().unstructure(server), default=repr),
        repr(attrs.asdict(server)),
        repr(attrs.astuple(server)),
        repr(server.extra) + repr(server.plan) + repr(server.os),
        *(pickle.dumps(server, protocol).decode("latin-1") for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)),
        pickle.dumps(attrs.asdict(server, filter=lambda field, _: field.name != "_servers")).decode("latin-1"),
        json.dumps(copy.copy(server).to_dict(secrets=True)),
        json.dumps(copy.deepcopy(server).to_dict(secrets=True)),
        json.dumps(attrs.evolve(server).to_dict(secrets=True)),
    ]


class TestNames:
    @pytest.mark.parametrize("name", NAMES)
    def test_a_secret_is_known_by_its_key(self, name):
        assert is_secret_name(name)
        assert is_secret(name, "x")
        assert is_secret(name, 7)

    @pytest.mark.parametrize("name", ["name", "hostname", "id", "keys", "pass", "status", ""])
    def test_other_keys_hold_none(self, name):
        assert not is_secret_name(name)

    def test_a_long_key_is_read_like_a_short_one(self):
        assert is_secret_name("x" * 1000 + "_password")
        assert not is_secret_name("x" * 1000)

    @pytest.mark.parametrize("value", [True, False, None])
    def test_whether_there_is_one_is_no_secret(self, value):
        assert not is_secret("password_set", value)


class TestTakingOut:
    @given(JSON)
    def test_data_without_secrets_are_returned_as_they_are(self, data):
        clean = without_secrets(data)

        assert without_secrets(clean) is clean

    @given(OBJECTS, st.sampled_from(NAMES), st.lists(st.sampled_from(["a", "b"]), max_size=4))
    def test_a_secret_at_any_depth_is_taken_out_and_comes_back_on_demand(self, data, name, path):
        inner = {name: SECRET, "port": 22}
        for step in path:
            inner = {step: [inner, 1]}
        whole = {**data, "console": inner}
        clean = dict(whole)

        found = split(clean)

        assert SECRET not in json.dumps(clean)
        assert {**clean, **found} == whole
        assert split(dict(clean)) == {}

    def test_what_is_too_deep_is_left_out_as_a_whole(self):
        deep = {"password": SECRET}
        for _ in range(5_000):
            deep = [deep]

        assert SECRET not in repr(without_secrets({"a": deep}))
        assert without_secrets({"a": [1], "token": "x", "b": deep})["a"] == [1]
        assert DEPTH_LIMIT < 1_000


class TestHidden:
    @pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))])
    def test_it_does_not_leave(self, way):
        """I6: neither with a copy nor with a pickle."""
        hidden = Hidden({"password": SECRET})

        assert way(hidden).value is None
        assert SECRET not in f"{hidden} {hidden!r} {hidden!s} {[hidden]}"


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "masked"),
        [
            (b'{"password": "a\\"b", "id": 7}', b'{"password": "[secret]", "id": 7}'),
            (b'{"a":{"apiToken":12.5e3}}', b'{"a":{"apiToken":"[secret]"}}'),
            (b'{"password": "cut off', b'{"password": "[secret]"'),
            (b'{"password": "cut off\\', b'{"password": "[secret]"'),
            (b'{"password": ["This field is required."]}', b'{"password": ["This field is required."]}'),
            (b'{"password_set": true, "token": null}', b'{"password_set": true, "token": null}'),
            (b'{"detail": "no password: \\"x\\""}', b'{"detail": "no password: \\"x\\""}'),
            (b"<html>", b"<html>"),
        ],
    )
    def test_strings_and_numbers_are_masked(self, body, masked):
        assert masked_json(body) == masked

    @given(OBJECTS, st.sampled_from(NAMES), st.text(min_size=1))
    def test_it_stays_json_and_shows_no_secret(self, data, name, secret):
        body = json.dumps({**data, "before": 1, name: secret, "after": {name: secret}}).encode()

        read = json.loads(masked_json(body))

        assert read[name] == read["after"][name] == "[secret]"
        assert read["before"] == 1

    @given(st.binary(max_size=300) | st.lists(st.sampled_from([b'"', b"\\", b":", b" ", b"password"])).map(b"".join))
    def test_anything_else_is_no_trouble(self, body):
        assert isinstance(masked_json(body), bytes)

    @pytest.mark.parametrize("piece", [b'"', b'\\"', b'"a" ', b'"a":', b'"password":"\\'])
    def test_hostile_text_takes_linear_time(self, piece):
        """A pattern that tries again from each quote would take minutes."""
        assert masked_json(piece * 200_000)


class TestServers:
    def test_the_password_is_there_for_who_asks(self):
        """I6: `server.password`, and `to_dict(secrets=True)`."""
        server = Server.from_dict(CREATED)

        assert server.password == SECRET
        assert server.to_dict(secrets=True) == CREATED
        assert Server.from_dict(server.to_dict(secrets=True)).password == SECRET

    def test_it_is_shown_nowhere_else(self):
        """I6: no repr, text, pickle, copy or `to_dict()` has it."""
        assert [shown for shown in shown_by(Server.from_dict(CREATED)) if SECRET in shown] == []

    @given(OBJECTS, st.sampled_from(NAMES), st.sampled_from(["plan", "os", "resource_usage", "console", "hostname"]))
    def test_no_secret_of_any_response_is_shown(self, data, name, field):
        """I6: whatever else the response has."""
        server = Server.from_dict({**data, "id": 7, name: SECRET, field: {"x": [{name: SECRET}]}})

        assert [shown for shown in shown_by(server) if SECRET in shown] == []
        assert json.dumps(server.to_dict(secrets=True)).count(SECRET) == 2

    def test_it_takes_no_part_in_equality(self):
        """I6: a server is equal to its pickle and to its `to_dict()`."""
        server = Server.from_dict(CREATED)

        assert server == Server.from_dict(server.to_dict()) == pickle.loads(pickle.dumps(server))
        assert server == Server.from_dict({**CREATED, "password": "another"})
        assert hash(server) == hash(Server.from_dict(server.to_dict()))

    @pytest.mark.parametrize("data", [{}, {"password": None}, {"password": 7}, {"password": {"value": SECRET}}])
    def test_without_a_text_there_is_none(self, data):
        """I6: `None`. The response's own value is kept for `to_dict(secrets=True)`."""
        server = Server.from_dict({"id": 7, "name": "", "status": "", **data})

        assert server.password is None
        assert server.to_dict(secrets=True) == {"id": 7, "name": "", "status": "", **data}
        assert SECRET not in repr(server) + json.dumps(server.to_dict())


@pytest.fixture
def seen(caplog):
    caplog.set_level(1)
    events = []
    yield events
    logged = "\n".join(f"{record.getMessage()} {record.args!r}" for record in caplog.get_records("call"))
    assert SECRET not in f"{events} {logged}"


def client_of(server, events, **options):
    quick = RetryPolicy(attempts=2, initial=0.001, maximum=0.002)
    return Client(
        "vps_12345678", base_url=server.base_url, on_event=events.append, **{"retry": quick, "timeout": 1.0, **options}
    )


def told_by(error: VPSError):
    """Return all that an error shows, without the frames' locals: those of a caller may hold anything."""
    return "".join(
        [str(error), repr(error), repr(vars(error)), repr(getattr(error, "headers", "")), repr(error.args)]
        + traceback.format_exception(error)
        + [pickle.dumps(error, protocol).decode("latin-1") for protocol in (0, 5)]
    )


@pytest.mark.anyio
class TestCalls:
    async def test_a_create_gives_it_once(self, server, seen):
        """I6: in the server that `create` returns, and in no event or log."""
        server.answer("POST", "/servers/", reply(201, CREATED))

        async with client_of(server, seen) as client:
            made = await client.servers.create(name="web-02", plan_id=1, os_id=5, location="us-west")

        assert made.password == SECRET
        assert [shown for shown in shown_by(made) if SECRET in shown] == []

    async def test_a_fleets_report_does_not_have_it(self, server, seen):
        """I6: neither its repr nor its pickle. The outcome's server has it."""
        server.answer("POST", "/servers/", reply(201, CREATED))

        async with client_of(server, seen) as client:
            report = await client.fleet.create([SPEC], wait=False)

        assert report[0].server.password == SECRET
        assert SECRET not in f"{report} {report!r} {report[0]}" + pickle.dumps(report).decode("latin-1")
        assert isinstance(report, FleetReport)

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (reply(400, CREATED), APIStatusError),
            (
                reply(402, {"detail": "no", "token": SECRET}, {"X-Root-Password": SECRET, "Set-Cookie": SECRET}),
                APIStatusError,
            ),
            (reply(503, CREATED, {"Retry-After": "9"}), APIStatusError),
            (reply(500, CREATED), OutcomeUnknownError),
            (reply(201, {"password": SECRET}), OutcomeUnknownError),
            (text_reply(201, f"your password is {SECRET}"), OutcomeUnknownError),
            (text_reply(201, json.dumps(CREATED)[:-1], "application/json"), OutcomeUnknownError),
        ],
        ids=["400", "402", "503", "500", "no id", "text", "broken"],
    )
    async def test_no_error_of_a_create_shows_it(self, server, seen, answer, kind):
        """I6: texts, attributes, bodies, headers, candidates and pickles of errors."""
        server.answer("POST", "/servers/", answer)
        listed = page([CREATED])
        server.answer("GET", "/servers/", reply(200, listed))

        async with client_of(server, seen) as client:
            with pytest.raises(kind) as caught:
                await client.servers.create(name="web-02", plan_id=1, os_id=5, location="us-west")

        assert SECRET not in told_by(caught.value)

    async def test_an_unreadable_response_is_not_quoted(self, server, seen):
        """I6: a text that speaks of a password may hold it."""
        server.answer("GET", "/servers/7/", text_reply(200, f"token: {SECRET}"))

        async with client_of(server, seen) as client:
            with pytest.raises(ResponseError, match="not JSON but a text of 28 bytes") as caught:
                await client.servers.get(7)

        assert SECRET not in told_by(caught.value)

    async def test_a_wait_that_ends_does_not_show_it(self, server, seen):
        """I6: the last server of a `WaitError` has no more than any server shows."""
        server.answer("GET", "/servers/9/", reply(200, CREATED))

        async with client_of(server, seen) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.servers.wait_until(9, status="active", timeout=0)

        assert SECRET not in told_by(caught.value)
