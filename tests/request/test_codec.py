"""Whatever bytes come, they are a model or one readable error."""

from __future__ import annotations

import json
import pickle
import re
import time
import traceback

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import action, detail, listed, page
from tests.helpers_models import JSON, NEARLY_LISTED, OBJECTS, contract
from vpsorg_async import _json
from vpsorg_async._errors import ResponseError
from vpsorg_async._models import Action, Server, ServerRef, ServerStatus
from vpsorg_async._request import codec


DOCUMENTS = (
    JSON
    | OBJECTS
    | st.fixed_dictionaries({"results": st.lists(JSON | OBJECTS, max_size=4)}, optional={"count": JSON, "next": JSON})
    | st.fixed_dictionaries({"server": OBJECTS}, optional={"status": JSON, "message": JSON})
)


@pytest.fixture(params=_json.READERS, autouse=True, scope="module")
def _reader(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read with each of the readers that are here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_json, "loads", _json.READERS[request.param])
        yield


def brief(value: object) -> str | None:
    """Return a test's id for a body: its begin and length."""
    return f"{value[:24]!r} {len(value)}" if isinstance(value, bytes) else None


def read_everything(body: bytes) -> list[Any]:
    """Read *body* as each kind of answer, and return what it was as each: a model or the error."""
    found: list[Any] = []
    for read in (codec.server, codec.action, servers_of):
        try:
            found.append(read(body))
        except ResponseError as error:
            found.append(error)
    assert all(
        str(error).isprintable() and len(str(error)) < 300 for error in found if isinstance(error, ResponseError)
    )
    return found


def servers_of(body: bytes, **options: Any) -> list[Server]:
    """Read *body* as a list."""
    arguments: dict[str, Any] = {"first": 0, "skip_invalid": False, "on_skipped": print, **options}
    return codec.servers(codec.page(body), **arguments)


def test_only_the_wanted_items_of_a_page_are_read_and_those_that_are_given_are_taken():
    given = Server(id=3, name="web-03", status="active")
    skipped: list[str] = []

    servers = servers_of(
        json.dumps([{"id": 1}, {"id": None}, {"id": 3}, {"id": 4}]).encode(),
        wanted={1: None, 2: given, 3: None},
        skip_invalid=True,
        on_skipped=skipped.append,
    )

    assert [server.id for server in servers] == [3, 4]
    assert servers[0] is given
    assert skipped == ["item 1 of the list ($[1]): no usable id"]


def codec_or_error(item: Any) -> Server | ResponseError:
    """Read *item* as a server alone."""
    try:
        return codec.server(json.dumps(item).encode())
    except ResponseError as error:
        return error


def refused(read: Any, body: bytes) -> str:
    """Return the text of the error that observation *body* is."""
    with pytest.raises(ResponseError) as caught:
        read(body)
    # The reader's own error holds the body, in which there may be a password.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return str(caught.value)


class TestDocumentedAnswers:
    def test_list(self) -> None:
        document = contract("list")
        read = codec.page(json.dumps(document).encode())

        assert read == codec.Page(items=document["results"], count=2, next=None, bare=False)
        assert servers_of(json.dumps(document).encode()) == [Server.from_dict(item) for item in document["results"]]

    @pytest.mark.parametrize("name", ["created", "detail"])
    def test_server(self, name: str) -> None:
        document = contract(name)

        assert codec.server(json.dumps(document).encode()) == Server.from_dict(document)

    def test_action(self) -> None:
        assert codec.action(json.dumps(contract("action")).encode()) == Action(
            status="success",
            message="Server is starting",
            server=ServerRef(id=12345, name="web-server-01", status=ServerStatus.STARTING),
        )

    def test_cattrs_structures_and_unstructures_through_the_same_hooks(self) -> None:
        document = contract("list")["results"]
        servers = codec.converter().structure(document, list[Server])

        assert servers == [Server.from_dict(item) for item in document]
        assert codec.converter().unstructure(servers) == document


class TestHostileJson:
    @pytest.mark.parametrize(
        ("body", "observation"),
        [
            (b"[" * 100_000, ResponseError),
            (b"[" * 100_000 + b"]" * 100_000, ResponseError),
            (b'{"id":7,"a":' * 100_000, ResponseError),
            (b'{"id":7,"a":' + b"[" * 1000 + b"]" * 1000 + b"}", ResponseError),
            (b'{"id":7,"plan":{"a":' + b"[" * 1000 + b"]" * 1000 + b"}}", ResponseError),
            (b'{"id":7,"a":' + b"[" * 90 + b"]" * 90 + b"}", 7),
            (b'{"id":12345678901234567890123}', 12345678901234567890123),
            (b'{"id":18446744073709551616}', 18446744073709551616),
            (b'{"id":-9223372036854775809}', -9223372036854775809),
            (b'{"id":' + b"9" * 5000 + b"}", ResponseError),
            (b'{"id":7,"a":' + b"[" * 1000 + b"9" * 30 + b"]" * 1000 + b"}", ResponseError),
            (b'{"id":"12345678901234567890123"}', "12345678901234567890123"),
            (b'{"id":1e999}', ResponseError),
            (b'{"id":7,"a":NaN}', ResponseError),
            (b'{"id":7,"a":-Infinity}', ResponseError),
            (b'{"id":1,"id":7}', 7),
            (b'{"id":"\\ud800"}', ResponseError),
            (b'{"id":"\xed\xa0\x80"}', ResponseError),
            (b'{"id":"\xff"}', ResponseError),
            (b'\xef\xbb\xbf{"id":7}', 7),
            (b'\xef\xbb\xbf\xef\xbb\xbf{"id":7}', ResponseError),
        ],
        ids=brief,
    )
    @pytest.mark.parametrize("shape", ["server", "action", "list"])
    def test_it_is_read_well_or_refused(self, shape: str, body: bytes, observation: Any) -> None:
        """T5: deep nesting, huge integers, NaN, duplicate keys, lone surrogates and BOM."""
        bom = b"\xef\xbb\xbf" if shape != "server" and body.startswith(b"\xef") else b""
        inner = body.removeprefix(bom)
        whole = {
            "server": body,
            "action": b'%s{"server":%s}' % (bom, inner),
            "list": b'%s{"results":[%s]}' % (bom, inner),
        }
        read: dict[str, Callable[[bytes], Any]] = {
            "server": codec.server,
            "action": lambda data: codec.action(data).server,
            "list": servers_of,
        }
        begin = time.process_time()

        try:
            result: Any = read[shape](whole[shape])
        except ResponseError as error:
            result = error

        assert time.process_time() - begin < 1
        if observation is ResponseError:
            assert isinstance(result, ResponseError)
            assert len(str(result)) < 300
        else:
            found = result[0] if isinstance(result, list) else result
            assert found.id == observation
            assert type(found.id) is type(observation)
            assert pickle.loads(pickle.dumps(found)) == found

    @given(DOCUMENTS)
    def test_any_json_is_a_model_or_a_response_error(self, document: Any) -> None:
        server, accepted, servers = read_everything(json.dumps(document).encode())

        assert isinstance(server, (Server, ResponseError))
        assert isinstance(accepted, (Action, ResponseError))
        assert isinstance(servers, ResponseError) or all(isinstance(item, Server) for item in servers)

    @given(st.lists(NEARLY_LISTED | OBJECTS, max_size=4))
    def test_a_page_is_read_as_its_items_are(self, items: list[Any]) -> None:
        skipped: list[str] = []

        servers = servers_of(json.dumps(page(*items)).encode(), skip_invalid=True, on_skipped=skipped.append)

        readable = [item for item in items if isinstance(codec_or_error(item), Server)]
        assert servers == [Server.from_dict(item) for item in readable]
        assert len(skipped) == len(items) - len(readable)

    @given(OBJECTS, st.integers() | st.text(min_size=1))
    def test_any_object_with_an_id_is_a_model(self, document: dict[str, Any], server_id: int | str) -> None:
        body = json.dumps({**document, "id": server_id}).encode()

        assert codec.server(body) == Server.from_dict({**document, "id": server_id})
        assert codec.server(body).id == server_id

    @given(
        st.binary()
        | st.builds(lambda document, end: json.dumps(document).encode()[:end], DOCUMENTS, st.integers(0, 99))
    )
    def test_any_bytes_are_a_model_or_a_response_error(self, body: bytes) -> None:
        assert len(read_everything(body)) == 3


class TestBrokenAnswers:
    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (b"", "the response is empty"),
            (b" \r\n", "the response is empty"),
            (b"\xef\xbb\xbf", "the response is empty"),
            (
                b"<!DOCTYPE html><html><title>Sign in</title>",
                "the response is HTML, not JSON (a proxy or captive portal?)",
            ),
            (b"<!doctype html><p>Sign in", "the response is HTML, not JSON (a proxy or captive portal?)"),
            (b"\n<HTML>", "the response is HTML, not JSON (a proxy or captive portal?)"),
            (b"Bad\x1b[31m limiter\tway\r\n", 'the response is not JSON but "Bad\\x1b[31m limiter way"'),
            (b"x" * 200, f'the response is not JSON but "{"x" * 79}…"'),
            (b"null", "no object but null @ $"),
            (b"[]", "no object but an array @ $"),
            (b"7", "no object but a number @ $"),
            (b"true", "no object but a boolean @ $"),
            (b'"web"', "no object but a string @ $"),
            (b"{}", "no usable id @ $"),
            (b"[" * 200 + b"]" * 200, "the response is JSON nested deeper than 100 levels"),
        ],
        ids=brief,
    )
    def test_a_server(self, body: bytes, text: str) -> None:
        assert refused(codec.server, body) == text

    def test_broken_json_is_told_by_its_place_and_not_by_its_text(self) -> None:
        text = refused(codec.server, b'{"password": "hunter2", "id')

        assert re.fullmatch(r"the response is broken JSON of 27 bytes: .* line 1 column \d+ \(char \d+\)", text)
        assert "hunter2" not in text

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (b"[]", "the response is no object but an array"),
            (b"{}", "no object but null @ $.server"),
            (b'{"server": [7]}', "no object but an array @ $.server"),
            (b'{"server": {"id": true}}', "no usable id @ $.server"),
        ],
    )
    def test_an_action(self, body: bytes, text: str) -> None:
        assert refused(codec.action, body) == text

    def test_an_action_without_words_is_one_all_the_same(self) -> None:
        read = codec.action(b'{"status": 1, "message": null, "server": {"uuid": "a7", "status": "odd"}}')

        assert read == Action(status="", message="", server=ServerRef(id="a7", name="", status="odd"))

    def test_no_traceback_shows_a_password(self) -> None:
        secret = "hunter" + "2"

        with pytest.raises(ResponseError) as caught:
            codec.server(json.dumps({"password": secret}).encode()[:-1])

        assert secret not in "".join(traceback.format_exception(caught.value))


class TestPages:
    @pytest.mark.parametrize(
        ("count", "read"),
        [
            (0, 0),
            (7, 7),
            (-1, None),
            (None, None),
            ("2", None),
            (2.0, None),
            (True, None),
            ([], None),
            (10**30, 10**30),
        ],
    )
    def test_a_count_is_a_number_of_items_or_nothing(self, count: Any, read: int | None) -> None:
        assert codec.page(json.dumps({"count": count, "results": []}).encode()).count == read

    @pytest.mark.parametrize(
        ("following", "read"), [(None, None), ("", None), ("http://host/?page=2", "http://host/?page=2")]
    )
    def test_next_is_a_link_or_nothing(self, following: Any, read: str | None) -> None:
        assert codec.page(json.dumps(page(next=following)).encode()).next == read
        assert codec.page(b'{"results": []}') == codec.Page(items=[], count=None, next=None, bare=False)

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (b'{"results": [], "next": 2}', "the response has no link @ $.next but a number"),
            (b'{"results": [], "next": {}}', "the response has no link @ $.next but an object"),
            (b"{}", "the response has no list @ $.results but null"),
            (b'{"results": {"id": 7}}', "the response has no list @ $.results but an object"),
            (b"null", "the response is no object nor an array but null"),
            (b"", "the response is empty"),
        ],
    )
    def test_what_is_no_page_is_refused(self, body: bytes, text: str) -> None:
        assert refused(codec.page, body) == text

    def test_a_bare_array_is_the_whole_list(self) -> None:
        body = json.dumps([listed(7), listed(8)]).encode()

        assert codec.page(body) == codec.Page(items=[listed(7), listed(8)], count=2, next=None, bare=True)
        assert [server.id for server in servers_of(body)] == [7, 8]


class TestMalformedItems:
    ITEMS: tuple[Any, ...] = (
        listed(1),
        None,
        {"name": "no id"},
        listed(4, plan=3, status=[]),
        {"id": 5, "a": json.loads("[" * 150 + "]" * 150)},
    )

    def test_the_error_names_position_and_reason(self) -> None:
        body = json.dumps(page(*[listed(number) for number in range(57)], {"id": None})).encode()

        assert refused(servers_of, body) == "item 57 of the list ($.results[57] of its page): no usable id"

    def test_the_position_counts_from_the_pages_first(self) -> None:
        with pytest.raises(ResponseError) as caught:
            servers_of(json.dumps([listed(1), 7]).encode(), first=100)

        assert str(caught.value) == "item 101 of the list ($[1]): no object but a number"

    def test_skipped_ones_are_reported_and_the_others_kept(self) -> None:
        skipped: list[str] = []
        servers = servers_of(json.dumps(page(*self.ITEMS)).encode(), skip_invalid=True, on_skipped=skipped.append)

        assert [server.id for server in servers] == [1, 4]
        assert servers[1].extra == {"plan": 3, "status": []}
        assert skipped == [
            "item 1 of the list ($.results[1] of its page): no object but null",
            "item 2 of the list ($.results[2] of its page): no usable id",
            "item 4 of the list ($.results[4] of its page): JSON nested deeper than 100 levels",
        ]


class TestDumps:
    def test_it_writes_compact_utf8(self) -> None:
        assert codec.dumps({"name": "wéb", "a": [1, None, True, 10**30]}) == (
            '{"name":"wéb","a":[1,null,true,1000000000000000000000000000000]}'.encode()
        )

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            ({"hostname": "\ud800"}, "a text with a lone surrogate is not valid Unicode"),
            ({"plan_id": float("nan")}, "Out of range float values are not JSON compliant"),
            ({"plan_id": float("inf")}, "Out of range float values are not JSON compliant"),
        ],
        ids=["surrogate", "nan", "infinite"],
    )
    def test_what_json_cannot_carry_is_refused(self, data: Any, text: str) -> None:
        with pytest.raises(ValueError) as caught:
            codec.dumps(data)

        assert str(caught.value).startswith(f"the request's body cannot be sent as JSON: {text}")
        assert caught.value.__context__ is None

    def test_circles_and_depths_are_refused(self) -> None:
        circle: list[Any] = []
        circle.append(circle)
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]

        with pytest.raises(ValueError, match="Circular reference detected"):
            codec.dumps(circle)
        with pytest.raises(ValueError, match="nested too deeply"):
            codec.dumps(deep)

    def test_what_json_does_not_have_is_a_type_error(self) -> None:
        with pytest.raises(TypeError, match="Object of type bytes is not JSON serializable"):
            codec.dumps({"name": b"web"})


class TestSandboxShapes:
    @pytest.mark.parametrize("body", [detail(7), listed("a7"), detail(7, ip_address=None)])
    def test_a_server_survives_bytes(self, body: dict[str, Any]) -> None:
        assert codec.server(json.dumps(body).encode()).to_dict() == body

    def test_an_action_survives_bytes(self) -> None:
        read = codec.action(json.dumps(action("a7", "stopping")).encode())

        assert (read.server.id, read.server.status) == ("a7", ServerStatus.STOPPING)
