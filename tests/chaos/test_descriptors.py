"""Tests a process without free file descriptors: calls fail as not sent, or wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from tests.conftest import INSTALLED
from tests.helpers import ROOT
from tests.helpers_api import FakeAPI
from tests.rawserver import RawServer, _server_context


UNSENT = "APIConnectionError, sent=False"


@pytest.fixture(params=INSTALLED)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["plain", "tls"])
def place(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[tuple[RawServer, str, dict[str, str]]]:
    """Give a server, its base URL, and the environment in which a client trusts it.

    With TLS the URL has a name, and the trusted authority is read from a file at the first call.
    """
    authority, tls = trustme.CA(), request.param == "tls"
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with RawServer(tls=_server_context(authority.issue_cert("localhost")) if tls else None) as server:
        FakeAPI(server).add(7)
        base_url = server.base_url.replace("127.0.0.1", "localhost") if tls else server.base_url
        yield server, base_url, {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}


def test_without_descriptors_nothing_is_sent_and_calls_work_again_with_free_ones(backend, place):
    server, base_url, environment = place

    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.chaos.starved", backend, base_url],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stderr == ""
    ends = json.loads(done.stdout)
    some = ends.pop("twenty gets")
    assert ends == {
        **dict.fromkeys(["get", "create", "reboot", "list"], UNSENT),
        "wait": "WaitFailedError by APIConnectionError",
        "create, with free descriptors": "done",
        "get on an open connection": "done",
        "twenty gets, with free descriptors": {"done": 20},
    }
    assert some.get("done", 0) + some.get(UNSENT, 0) == 20
    assert len(server.requests_to("POST")) == 1
