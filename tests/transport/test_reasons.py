"""An error says where, in which phase and why there is no response."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import anyio
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import detail
from tests.proxyserver import ProxyServer
from tests.rawserver import ScriptedServer, certificates, closed_port, cut, drop, hang, json
from vpsorg_async import APIConnectionError, APITimeoutError, Client, NotFoundError, RetryPolicy
from vpsorg_async._transport.reasons import certificate_alert, reason_of


pytestmark = pytest.mark.anyio

PATH = "/servers/7/"
ONCE = RetryPolicy.none()


async def error_of(base_url, *, kind=APIConnectionError, **options):
    async with Client("vps_test", base_url=base_url, **{"retry": ONCE, "timeout": 5, **options}) as client:
        with pytest.raises(kind) as caught:
            await client.servers.get(7)
    return caught.value


class TestWhereAndWhy:
    async def test_nobody_listens(self):
        """R20: refused."""
        with closed_port() as port:
            error = await error_of(f"http://127.0.0.1:{port}/api/v1")

        assert str(error) == f"GET {PATH}: cannot connect to 127.0.0.1:{port}: refused"
        assert error.sent is False

    async def test_a_name_that_is_unknown(self, monkeypatch):
        """R20: a name that the system's resolver does not have."""

        def unknown(*_arguments, **_options):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        error = await error_of("https://api.example/api/v1")

        assert str(error) == (f"GET {PATH}: cannot connect to api.example:443: unresolved: its name is unknown")
        assert error.sent is False

    async def test_a_handshake_that_is_reset(self):
        """R20: the phase is the handshake, whatever ends it."""

        async def reset(peer):
            await peer.reader.read(1)
            peer.close(reset=True)

        with ScriptedServer(reset) as server:
            base_url = server.base_url.replace("http", "https")
            error = await error_of(base_url, ssl_context=certificates().trust)

        assert str(error) == (
            f"GET {PATH}: the TLS handshake with 127.0.0.1:{server.port} failed: reset by the other side"
        )
        assert error.sent is False

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            pytest.param(b"", "closed by the other side", id="nothing"),
            pytest.param(b"\x15\x03\x01\x00\x02\x01\x00", "closed by the other side", id="a goodbye"),
            pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak TLS", id="plain http"),
            pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "it does not speak TLS", id="ssh"),
            pytest.param(
                b"\x15\x03\x01\x00\x02\x02\x46",
                "the two sides have no version of TLS in common",
                id="the alert protocol_version",
            ),
            pytest.param(b"\x15\x03\x01\x00\x02\x02\x70", "it has no host of this name", id="unrecognized_name"),
        ],
    )
    @pytest.mark.parametrize("way", ["pool", "proxy"])
    async def test_a_handshake_that_the_other_side_ends(self, said, why, way):
        """R20: in words for those who do not know OpenSSL's."""

        async def serve(peer):
            await peer.reader.read(1)
            peer.write(said)
            peer.close()

        with ScriptedServer(serve) as server, ProxyServer() as proxy:
            base_url = server.base_url.replace("http", "https")
            through = proxy.url if way == "proxy" else None
            error = await error_of(base_url, ssl_context=certificates().trust, proxy=through)

        assert str(error).endswith(f" failed: {why}")
        assert error.sent is False

    @pytest.mark.parametrize(
        ("reply", "why"),
        [
            (drop(reset=True), "reset by the other side"),
            (drop(), "Server disconnected without sending a response."),
            (cut(json(200, {}), 20), "the server ended the connection within the response's head"),
        ],
        ids=["reset", "closed", "cut"],
    )
    async def test_a_response_that_does_not_come(self, server, reply, why):
        """R20: it was sent."""
        server.answer("GET", PATH, reply)

        error = await error_of(server.base_url)

        assert str(error) == f"GET {PATH}: no response from 127.0.0.1:{server.port}: {why}"

    async def test_a_connection_that_drops_while_sending(self):
        """R20: the request is larger than what the system takes at once."""

        async def reset(peer):
            await peer.reader.readuntil(b"\r\n\r\n")
            peer.close(reset=True)

        with ScriptedServer(reset) as server:
            async with Client("vps_test", base_url=server.base_url, retry=ONCE) as client:
                with pytest.raises(APIConnectionError) as caught:
                    await client.request("PUT", "/x/", json={"x": "y" * 20_000_000})

        assert str(caught.value).startswith(f"PUT /x/: sending to 127.0.0.1:{server.port} failed: ")
        assert caught.value.sent is True

    async def test_a_response_that_takes_too_long(self, server):
        """R20: both limits say what was waited for."""
        server.answer("GET", PATH, [json(200, detail()), hang()])

        async with Client("vps_test", base_url=server.base_url, retry=ONCE, timeout=60) as client:
            # A busy machine may take longer than the limit to connect: both calls find a connection.
            await client.servers.get(7)
            with pytest.raises(APITimeoutError) as whole:
                await client.servers.get(7, timeout=0.2)
            server.answer("GET", PATH, [json(200, detail()), hang()])
            await client.servers.get(7)
            with pytest.raises(APITimeoutError) as attempt:
                await client.with_options(attempt_timeout=0.2).servers.get(7)

        phase = f"waiting for the response of 127.0.0.1:{server.port}"
        assert str(whole.value) == f"GET {PATH}: no response within timeout=0.2 s: {phase}"
        assert str(attempt.value) == f"GET {PATH}: no response within 0.2 s: {phase}"

    async def test_a_handshake_that_takes_too_long(self):
        """R20: it is named, and nothing was sent."""
        with ScriptedServer(lambda peer: peer.gone.wait()) as server:
            base_url = server.base_url.replace("http", "https")
            error = await error_of(base_url, kind=APITimeoutError, ssl_context=certificates().trust, timeout=1)

        assert str(error).endswith(f"timeout=1 s: in the TLS handshake with 127.0.0.1:{server.port}")
        assert error.sent is False

    @pytest.mark.parametrize("prefix", ["", "/v1"])
    async def test_a_base_url_without_its_path_is_asked_about(self, server, prefix):
        """R20: "is /api/v1 missing?"."""
        root = server.base_url.removesuffix("/api/v1")

        error = await error_of(f"{root}{prefix}", kind=NotFoundError)

        assert f"is /api/v1 missing from base_url={root}{prefix}" in str(error)

    async def test_a_server_that_is_gone_is_no_such_question(self, server):
        """R20: a 404 at the right place."""
        error = await error_of(server.base_url, kind=NotFoundError)

        assert "/api/v1" not in str(error)


def _raised(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ECONNREFUSED, "Connect call failed"), "refused"),
        (_raised(OSError("All connection attempts failed"), OSError(errno.EHOSTUNREACH, "x")), "no route to the host"),
        (
            _raised(OSError("All connection attempts failed"), ExceptionGroup("x", [OSError(errno.ENETUNREACH, "x")])),
            "no route to the network",
        ),
        (_raised(anyio.BrokenResourceError(), ConnectionResetError(errno.ECONNRESET, "x")), "reset by the other side"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "unresolved: its name is unknown"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "unresolved: the name server gives no answer about its name"),
        (UnicodeError("label too long"), "unresolved: its name is none that a host can have"),
        (ValueError("in its own words"), "in its own words"),
        (anyio.BusyResourceError("reading"), "Another task is already reading this resource"),
        (anyio.EndOfStream(), "closed by the other side"),
        (KeyError(), "KeyError"),
    ],
    ids=repr,
)
def test_the_reason_is_said_in_a_few_words(error, reason):
    assert reason_of(error) == reason


@given(st.sampled_from(sorted(errno.errorcode)), st.integers(0, 30))
def test_every_number_of_the_system_has_a_reason(number, depth):
    """However deep it lies."""
    error = OSError(number, os.strerror(number))
    for _ in range(depth):
        error = _raised(anyio.BrokenResourceError(), error)

    assert reason_of(error)


def _alert(reason, text="x"):
    error = ssl.SSLError(1, text)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "text", "alert"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "x", "certificate required"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "x", "bad certificate"),
        ("TLSV1_ALERT_UNKNOWN_CA", "x", "unknown ca"),
        ("TLSV1_ALERT_DECRYPT_ERROR", "x", "decrypt error"),
        ("TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE", "x", "bad certificate status response"),
        (None, "[SSL] unknown error, reason(1116) (_ssl.c:2580)", "certificate required"),
        (None, "[SSL] tlsv1 alert unknown psk identity (_ssl.c:2580)", "unknown psk identity"),
        ("TLSV1_ALERT_INTERNAL_ERROR", "x", ""),
        ("TLSV1_UNRECOGNIZED_NAME", "x", ""),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "x", ""),
        (None, "[SSL] unknown error, reason(1080) (_ssl.c:2580)", ""),
        (None, "EOF occurred in violation of protocol", ""),
    ],
)
def test_which_alerts_are_about_a_certificate(reason, text, alert):
    """41 to 49, 51, and 113 to 116, by their names or numbers."""
    assert certificate_alert(_raised(OSError("x"), _alert(reason, text))) == alert
