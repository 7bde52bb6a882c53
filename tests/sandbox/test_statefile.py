"""An account that outlives its process."""

from __future__ import annotations

import json

import pytest

from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._endpoints import Asked, command


def stop(sandbox):
    account, now = sandbox._backend.accounts[0], sandbox._clock.now()
    command("stop")(Asked(account=account, now=now, url="", query={}, server_id="12345", body=b""))
    sandbox._backend.save()


class TestState:
    def test_what_happened_is_there_again(self, tmp_path):
        """And time goes on from the last thing that happened."""
        first = Sandbox(servers=2, state=tmp_path / "state")
        first.advance(50)
        stop(first)

        second = Sandbox(servers=9, state=tmp_path / "state")

        assert second.servers == first.servers
        assert [server["status"] for server in second.servers] == ["stopping", "active"]
        assert second._clock.now() == 50
        second.advance(30)
        assert second.servers[0]["status"] == "stopped"

    def test_each_account_has_its_own(self, tmp_path):
        """By the order in which they are added; no token is written."""
        for _ in range(2):
            sandbox = Sandbox(servers=1, state=tmp_path / "state")
            sandbox.add_account("vps_other")

        assert len(sandbox.servers) == 1
        assert "vps_" not in (tmp_path / "state").read_text()

    def test_a_torn_last_line_is_cut_off(self, tmp_path):
        """Wherever it was torn; what comes next is written after the last whole line."""
        path = tmp_path / "state"
        first = Sandbox(servers=1, state=path)
        whole = path.read_bytes()
        stop(first)
        line = path.read_bytes()[len(whole) :]

        for end in range(len(line)):
            path.write_bytes(whole + line[:end])
            again = Sandbox(state=path)
            assert [server["status"] for server in again.servers] == ["active"]
            stop(again)
            assert [json.loads(one)["kind"] for one in path.read_text().splitlines()] == ["found", "commanded"]

    @pytest.mark.parametrize("line", ["{", "[]", "{}", '{"account": 0, "odd": 1}'])
    def test_a_broken_line_before_it_is_named(self, tmp_path, line):
        """Rather than an account with holes."""
        path = tmp_path / "state"
        path.write_text(f"{line}\n")

        with pytest.raises(ValueError) as caught:
            Sandbox(state=path)

        assert str(caught.value) == f"{path}, line 1: not an event of a sandbox"
