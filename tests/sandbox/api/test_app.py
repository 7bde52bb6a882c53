"""The app: routing, tokens, common headers, and the record of calls."""

from __future__ import annotations

import pickle

import pytest

from tests.sandbox.conftest import SPEC
from vpsorg_async import NotFoundError


pytestmark = pytest.mark.anyio


class TestRouting:
    async def test_every_answer_has_the_sandbox_s_date_and_an_id(self, api, sandbox):
        """X1: refusals have both headers too."""
        sandbox.advance(61)

        answers = [await api.get("/servers/"), await api.get("/nowhere/"), await api.delete("/servers/12345/")]

        assert [answer.headers.get_list("date") for answer in answers] == [["Thu, 16 Jan 2025 15:31:01 GMT"]] * 3
        assert len({answer.headers["x-request-id"] for answer in answers}) == 3

    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("PUT", "/servers/", "GET, POST"),
            ("POST", "/servers/12345/", "GET, PUT, PATCH, DELETE"),
            ("GET", "/servers/12345/start/", "POST"),
            ("OPTIONS", "/servers/", "GET, POST"),
        ],
    )
    async def test_a_wrong_method_is_405(self, api, sandbox, method, path, allow):
        """X2: the refusal lists the allowed methods."""
        answer = await api.request(method, path)

        assert (answer.status_code, answer.json()) == (405, {"detail": f'Method "{method}" not allowed.'})
        assert answer.headers["allow"] == allow
        assert sandbox.calls[-1].status == 405

    async def test_what_is_not_there_is_404(self, api):
        """X2: unknown ids and unknown paths are 404."""
        ids = ("7", "x", "-1", "%D9%A1", "1" * 30)
        for path in (*(f"/servers/{server_id}/" for server_id in ids), "/servers/12345", "/", "/domains/"):
            answer = await api.get(path)
            assert (path, answer.status_code, answer.json()) == (path, 404, {"detail": "Not found."})

    @pytest.mark.parametrize(("method", "path"), [("GET", "/servers/"), ("POST", "/v1/servers/"), ("GET", "/")])
    async def test_a_path_without_the_base_path_is_told_so(self, api, method, path):
        """X8: a program whose base URL lacks it learns what to mend."""
        answer = await api.request(method, str(api.base_url.copy_with(path=path)))

        assert answer.status_code == 404
        assert answer.json() == {
            "detail": "Not found. Every path of the API begins with /api/v1: is it missing from the base URL?"
        }

    async def test_the_client_s_error_says_so_too(self, sandbox):
        """X8: with the base URL that was given."""
        async with sandbox.client(base_url="http://localhost") as client:
            with pytest.raises(NotFoundError) as caught:
                await client.servers.list()

        assert str(caught.value).count("/api/v1") == 2


class TestTokens:
    @pytest.mark.parametrize("value", ["", "vps_sandbox", "Basic vps_sandbox", "Bearer"])
    async def test_no_token_is_401(self, api, value):
        """X2: a missing token, or one that is not a bearer token, is refused."""
        answer = await api.get("/servers/", headers={"Authorization": value})

        assert (answer.status_code, answer.json()) == (401, {"detail": "Authentication credentials were not provided."})

    async def test_a_wrong_token_is_401_and_changes_nothing(self, api, sandbox):
        """X2: this holds for every method; no token is shown."""
        before = sandbox.servers

        for method, path in [("DELETE", "/servers/12345/"), ("POST", "/servers/"), ("PUT", "/servers/")]:
            answer = await api.request(method, path, headers={"Authorization": "Bearer vps_other"})
            assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid token."})

        assert sandbox.servers == before
        assert "vps_" not in repr(sandbox.calls)

    async def test_another_account_s_server_is_404(self, api, sandbox):
        """X2: a 403 would reveal that the server exists."""
        sandbox.add_account("vps_other")
        other = {"Authorization": "Bearer vps_other"}

        assert (await api.get("/servers/", headers=other)).json() == {"count": 0, "results": []}
        for method, path in [("GET", ""), ("DELETE", ""), ("POST", "stop/")]:
            assert (await api.request(method, f"/servers/12345/{path}", headers=other)).status_code == 404
        made = (await api.post("/servers/", json=SPEC, headers=other)).json()
        assert (await api.get(f"/servers/{made['id']}/")).status_code == 404
        assert [server["id"] for server in sandbox.servers] == [12345, 12346, made["id"]]

    async def test_a_token_that_only_reads_is_403_to_changes(self, api, sandbox):
        """X2: the token reads the first account, or the account that it already had."""
        sandbox.add_account("vps_reader", read_only=True)
        reader = {"Authorization": "Bearer vps_reader"}

        denied = await api.delete("/servers/12345/", headers=reader)

        assert (await api.get("/servers/", headers=reader)).json()["count"] == 2
        assert denied.status_code == 403
        assert denied.json() == {"detail": "You do not have permission to perform this action."}
        sandbox.add_account("vps_sandbox", read_only=True)
        assert (await api.post("/servers/12345/stop/")).status_code == 403


class TestCalls:
    async def test_what_was_asked_is_recorded(self, api, sandbox):
        """Refusals are recorded too."""
        sandbox.advance(5)
        await api.get("/servers/", params={"status": "active"})
        await api.patch("/servers/12345/", json={"name": "a b"})

        seen = [(call.method, call.path, call.query, call.json, call.status, call.at) for call in sandbox.calls]

        assert seen == [
            ("GET", "/servers/", {"status": "active"}, None, 200, 5.0),
            ("PATCH", "/servers/12345/", {}, {"name": "a b"}, 400, 5.0),
        ]

    async def test_headers_are_recorded_without_those_that_are_secret(self, api, sandbox):
        """X8: their names are found in upper and lower case; a repr shows none of them."""
        secret = {"Proxy-Authorization": "Basic c2VjcmV0", "Cookie": "session=c2VjcmV0"}
        await api.get("/servers/", headers={"X-Trace": "abc", **secret})
        await api.get("/servers/", headers={"X-Trace": "def", "Authorization": "Bearer vps_wrong"})

        first, second = sandbox.calls

        assert (first.headers["x-trace"], second.headers["X-Trace"]) == ("abc", "def")
        assert first.headers["User-Agent"].startswith("python-httpx/")
        assert not {*first.headers, *second.headers} & {"authorization", "proxy-authorization", "cookie"}
        assert "vps_" not in str([*first.headers.values(), *second.headers.values()])
        assert "abc" not in repr(first)
        assert pickle.loads(pickle.dumps(first)) == first
