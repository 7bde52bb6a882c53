"""Whatever an error response holds, it is one readable error of its class."""

from __future__ import annotations

import json
import pickle
import time

from typing import Any

import httpx
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.request.test_codec import DOCUMENTS, brief
from vpsorg_async import _errors
from vpsorg_async._errors import APIStatusError
from vpsorg_async._request.error_responses import error_from


def error_of(status: int, body: Any, *, action: bool = False, headers: Any = None) -> APIStatusError:
    """Return the error that this answer to a create, or to a start, is."""
    return error_from(
        status,
        httpx.Headers(headers or {}),
        body if isinstance(body, bytes) else json.dumps(body).encode(),
        summary="POST /servers/7/start/" if action else "POST /servers/",
        attempts=1,
        retry_after=None,
        action=action,
    )


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, _errors.BadRequestError),
            (401, _errors.AuthenticationError),
            (402, _errors.InsufficientCreditsError),
            (403, _errors.PermissionDeniedError),
            (404, _errors.NotFoundError),
            (405, APIStatusError),
            (418, APIStatusError),
            (429, _errors.RateLimitError),
            (499, APIStatusError),
            (500, _errors.ServerError),
            (503, _errors.ServerError),
            (599, _errors.ServerError),
        ],
    )
    def test_the_class_is_that_of_the_status(self, status: int, kind: type[APIStatusError]) -> None:
        error = error_of(status, {"detail": "no"})

        assert type(error) is kind
        assert error.status_code == status
        assert str(error) == f"POST /servers/ was answered {status}: no"

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ({"detail": "Server is already running."}, _errors.StateConflictError),
            ({"non_field_errors": ["Server is already running."]}, _errors.StateConflictError),
            (b"", _errors.StateConflictError),
            ({"action": ["Unknown."]}, _errors.BadRequestError),
        ],
        ids=["detail", "non_field_errors", "empty", "field"],
    )
    def test_a_400_to_an_action_is_a_conflict_unless_it_blames_a_field(self, body: Any, kind: type) -> None:
        assert type(error_of(400, body, action=True)) is kind

    @pytest.mark.parametrize(
        ("status", "body", "message", "fields"),
        [
            (400, {"detail": "Not so."}, "Not so.", {}),
            (400, {"message": "Not so."}, "Not so.", {}),
            (400, {"error": "Not so."}, "Not so.", {}),
            (400, {"error": {"message": "Not so.", "code": 3}}, "Not so.", {}),
            (400, {"errors": [{"message": "Not so."}, {"msg": "Nor so."}]}, "Not so.; Nor so.", {}),
            (400, {"detail": [{"loc": ["body"], "msg": "Not so."}]}, "Not so.", {}),
            (400, {"detail": None, "message": "Not so."}, "Not so.", {}),
            (400, ["Not so.", "Nor so."], "Not so.; Nor so.", {}),
            (400, "Not so.", "Not so.", {}),
            (
                400,
                {"name": ["This field is required."], "os_id": ["Not so.", "Nor so."]},
                "name: This field is required.; os_id: Not so. Nor so.",
                {"name": ["This field is required."], "os_id": ["Not so.", "Nor so."]},
            ),
            (400, {"non_field_errors": ["Not so."]}, "Not so.", {"non_field_errors": ["Not so."]}),
            (400, {"errors": {"name": ["Not so."]}}, "name: Not so.", {"name": ["Not so."]}),
            (400, {"detail": "Invalid.", "name": ["Not so."]}, "Invalid.", {"name": ["Not so."]}),
            (
                400,
                {"code": ["Not so."], "status": ["Nor so."], "name": [], "tags": [1, None]},
                "code: Not so.; status: Nor so.",
                {"code": ["Not so."], "status": ["Nor so."]},
            ),
            (400, {"detail": "Invalid.", "code": "invalid", "status": 400}, "Invalid.", {}),
            (400, {"name": "bad"}, '{"name": "bad"}', {}),
            (400, {"name": {"en": ["bad"]}}, '{"name": {"en": ["bad"]}}', {}),
            (400, b'{\n  "code": 17\n}', '{ "code": 17 }', {}),
            (400, {"x": "y" * 600}, '{"x": "' + "y" * 492 + "…", {}),
            (400, b"Not\r\n\tso.", "Not so.", {}),
            (400, b"Not so: \x1b[31m", "Not so: \\x1b[31m", {}),
            (400, "Ungültig".encode("latin-1"), "Ung�ltig", {}),
            (400, '{"detail": "Ungültig"}'.encode("latin-1"), "Ung�ltig", {}),
            (400, b'\xef\xbb\xbf{"detail": "Not so."}', "Not so.", {}),
            (502, b"<html><head><TITLE lang='en'>502 Bad\nGateway &amp; Co</TITLE>", "502 Bad Gateway & Co", {}),
            (502, b"<html><title>cut", "an HTML page", {}),
            (502, b"<!doctype html><html><body>", "an HTML page", {}),
            (502, b"", "Bad Gateway", {}),
            (502, b"  \n", "Bad Gateway", {}),
            (502, b"null", "Bad Gateway", {}),
            (502, b"{}", "Bad Gateway", {}),
            (599, b"", "no reason given", {}),
            (400, b"\x1f\x8b\x08\x00garbage", "\ufffd\\x08\\x00garbage", {}),
            (400, b"[" * 100_000, "[" * 499 + "…", {}),
            (400, {"detail": "x" * 600}, "x" * 499 + "…", {}),
        ],
        ids=brief,
    )
    def test_the_message_is_what_the_body_says(
        self, status: int, body: Any, message: str, fields: dict[str, list[str]]
    ) -> None:
        error = error_of(status, body)

        assert error.message == message
        assert error.fields == fields
        assert str(error) == f"POST /servers/ was answered {status}: {message}"

    def test_all_that_was_known_is_on_it(self) -> None:
        body = json.dumps({"name": ["This field is required."]}).encode()
        headers = httpx.Headers({"x-request-id": "abc", "Retry-After": "7"})

        error = error_from(400, headers, body, summary="POST /servers/", attempts=3, retry_after=7.0)

        assert str(error) == "POST /servers/ was answered 400: name: This field is required. (request id abc)"
        assert error.request_id == "abc"
        assert error.attempts == 3
        assert error.retry_after == 7.0
        assert error.headers["Retry-After"] == "7"
        assert error.body == body
        assert error.request_summary == "POST /servers/"
        assert str(pickle.loads(pickle.dumps(error))) == str(error)

    def test_an_odd_request_id_does_not_break_the_line(self) -> None:
        error = error_of(404, b"", headers={"X-Request-ID": "a\tb" * 100})

        assert len(str(error)) < 200
        assert str(error).isprintable()

    @pytest.mark.parametrize(
        "body",
        [b"x" * 10_000_000, b" " * 10_000_000, b"<html>" + b"<title" * 1_600_000, b"[" + b"1," * 5_000_000 + b"1]"],
        ids=["text", "space", "titles", "json"],
    )
    def test_ten_megabytes_are_cheap_and_not_kept(self, body: bytes) -> None:
        begin = time.process_time()

        error = error_of(502, body)

        assert time.process_time() - begin < 0.25
        assert error.body == body[: 64 * 1024]
        assert len(str(error)) < 600
        assert type(error) is _errors.ServerError

    @given(st.integers(400, 999), st.binary() | DOCUMENTS.map(json.dumps).map(str.encode), st.booleans())
    def test_no_body_raises_and_the_text_is_one_short_line(self, status: int, body: bytes, action: bool) -> None:
        error = error_of(status, body, action=action)

        assert error.message
        assert len(error.message) <= 500
        assert str(error).isprintable()
        assert str(error).startswith("POST /servers/")
