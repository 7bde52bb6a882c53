"""How the bytes of a response are read: as h11 reads them, or not at all."""

from __future__ import annotations

import contextlib
import itertools
import sys

import h11
import httpx
import pytest

from hypothesis import event, given
from hypothesis import strategies as st

from vpsorg_async._transport import response_parser
from vpsorg_async._transport.response_parser import MAX_HEAD, ResponseParser
from vpsorg_async._transport.types import MAX_BODY


OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 2\r\n\r\nhi"


def read(data, *, method="GET", pieces=(), ended=True):
    """Return what our parser makes of *data*, fed in pieces that end where *pieces* say."""
    parser = ResponseParser(method)
    ends = sorted({*(end % (len(data) + 1) for end in pieces), len(data)})
    for begin, end in zip([0, *ends], ends, strict=False):
        if parser.done:
            break
        parser.feed(data[begin:end])
    if not ended:
        assert parser.done, "more is wanted"
    return parser.finish()


def read_by_h11(data, *, method="GET"):
    """Return status, headers and body as h11 reads them when the connection ends behind *data*."""
    connection = h11.Connection(our_role=h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    body = b""
    while True:
        match connection.next_event():
            case h11.Response() as response:
                pass
            case h11.Data(data=more):
                body += more
            case h11.EndOfMessage():
                return response.status_code, [(name.lower(), value) for name, value in response.headers], body


class TestReading:
    @pytest.mark.parametrize("size", [1, 2, 7, 1000])
    @pytest.mark.parametrize(
        ("data", "body"),
        [
            (WHOLE, b"hi"),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\n\r\n", b"hi"),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Late: 1\r\n\r\n", b"hi"),
            (b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + WHOLE, b"hi"),
            (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", b""),
            (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", b""),
        ],
        ids=["length", "chunks", "trailer", "interim answers", "204", "304"],
    )
    def test_a_response_in_pieces(self, data, body, size):
        answer = read(data, pieces=range(0, len(data), size), ended=False)

        assert (answer.body, answer.trouble, answer.reusable) == (body, None, True)
        assert [name for name, _ in answer.headers if name.startswith(b"X-")] == []

    def test_the_status_line_comes_with_it(self):
        answer = read(b"HTTP/1.1 404 Not here\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n")

        assert (answer.status, answer.reason) == (404, b"Not here")
        assert answer.headers == [(b"X-A", b"1"), (b"x-a", b"2"), (b"Content-Length", b"0")]

    def test_a_head_s_answer_ends_with_its_head(self):
        answer = read(OK + b"Content-Length: 500\r\n\r\n", method="HEAD", ended=False)

        assert (answer.body, answer.trouble, answer.reusable) == (b"", None, True)

    @pytest.mark.parametrize(
        "data",
        [
            OK + b"Content-Length: 2\r\nConnection: close\r\n\r\nhi",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            WHOLE + b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad",
            WHOLE + b"garbage",
            b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        ],
        ids=["close", "HTTP/1.0", "a second answer", "garbage behind it", "204 and close"],
    )
    def test_the_connection_is_of_no_further_use_and_the_response_is(self, data):
        answer = read(data, ended=False)

        assert (answer.body, answer.trouble, answer.reusable) == (answer.body, None, False)
        assert answer.body in (b"hi", b"")
        assert answer.status in (200, 204)

    def test_a_body_that_nobody_may_send_ends_the_connection(self):
        answer = read(WHOLE, method="HEAD", ended=False)

        assert (answer.body, answer.reusable) == (b"", False)

    def test_the_end_of_the_connection_ends_a_body_that_does_not_tell_its_length(self):
        answer = read(OK + b"\r\nuntil the end")

        assert (answer.body, answer.trouble, answer.reusable) == (b"until the end", None, False)


class TestTrouble:
    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (OK + b"Content-Length: 5\r\n\r\nhi", "after 2 of 5 bytes"),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhi", "within a chunked body"),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "within a chunked body"),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", "within a chunked body"),
        ],
    )
    def test_a_body_that_was_cut_short_is_given_with_what_is_wrong(self, data, text):
        answer = read(data)

        assert answer.body == b"hi"
        assert text in str(answer.trouble)
        assert not answer.reusable

    @pytest.mark.parametrize("end", range(len(OK) + 20))
    def test_a_head_that_was_cut_short_is_no_response(self, end):
        with pytest.raises(httpx.RemoteProtocolError, match=r"without sending a response|within the response's head"):
            read(WHOLE[:end] if end < WHOLE.index(b"\r\n\r\n") + 4 else OK)

    def test_a_broken_connection_says_how_it_broke(self):
        parser = ResponseParser("GET")

        with pytest.raises(httpx.ReadError, match="reset"):
            parser.finish(httpx.ReadError("reset"))

    @pytest.mark.parametrize(
        "data",
        [
            OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            OK + b"Transfer-Encoding: identity\r\n\r\nhi",
            OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
            OK + b"Content-Length: -2\r\n\r\nhi",
            OK + b"Content-Length: 2x\r\n\r\nhi",
            OK + b"X Y: 1\r\n\r\n",
            b"RTSP/1.0 200 OK\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 099 OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"\r\n" + WHOLE,
            b"<html>",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ],
    )
    @pytest.mark.parametrize("size", [1, 1000])
    def test_what_could_be_read_in_two_ways_is_no_response(self, data, size):
        with pytest.raises(httpx.RemoteProtocolError):
            read(data, pieces=range(0, len(data), size))


def began(data, *, interrupted_at=None):
    """Feed *data*; return the functions of ours that began, at the last of which came a Ctrl-C.

    A signal's handler runs in whatever function begins at that moment, and so does a profile function.
    """
    names = []

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename == response_parser.__file__:
            names.append(frame.f_code.co_name)
            if len(names) == interrupted_at:
                raise KeyboardInterrupt

    parser, before = ResponseParser("GET"), sys.getprofile()
    sys.setprofile(note)
    try:
        parser.feed(data)
    finally:
        sys.setprofile(before)
    return names


class TestInterrupt:
    DATA = OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\nX-Late: 1\r\n\r\n" + WHOLE

    def test_every_function_that_httptools_calls_is_among_them(self):
        assert {name for name in vars(ResponseParser) if name.startswith("on_")} <= set(began(self.DATA))

    @pytest.mark.parametrize("moment", range(1, 1 + len(began(DATA))))
    def test_it_comes_through(self, moment):
        with pytest.raises(KeyboardInterrupt):
            began(self.DATA, interrupted_at=moment)


class TestLimits:
    @pytest.mark.parametrize(
        ("first", "more"),
        [
            (OK, b"X-A: %b\r\n" % (b"y" * 1000)),
            (b"", b"HTTP/1.1 103 Early Hints\r\nLink: %b\r\n\r\n" % (b"y" * 2000)),
        ],
        ids=["of the response", "of interim ones"],
    )
    def test_a_head_without_end(self, first, more):
        parser = ResponseParser("GET")
        parser.feed(first + more)

        with pytest.raises(httpx.RemoteProtocolError, match="head is larger than 100 KiB") as caught:
            for _ in range(MAX_HEAD // 1000 + 2):
                parser.feed(more)

        assert caught.value.error_status_hint == 431

    def test_a_body_without_end(self):
        parser = ResponseParser("GET")
        parser.feed(OK + b"\r\n")
        piece, fed = bytes(1 << 20), 0
        while not parser.done:
            parser.feed(piece)
            fed += len(piece)

        answer = parser.finish()

        assert MAX_BODY < len(answer.body) <= fed <= MAX_BODY + len(piece)
        assert not answer.reusable


ODD_LINES = [
    *(
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 200\r\n",
        b"HTTP/1.1 200 \r\n",
        b"HTTP/1.1 204 No\r\n",
        b"HTTP/1.1 304 Not\r\n",
    ),
    *(b"HTTP/1.1 500 A b  c\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"HTTP/1.1 099 X\r\n", b"HTTP/1.2 200 OK\r\n"),
    *(
        b"HTTP/2.0 200 OK\r\n",
        b"http/1.1 200 OK\r\n",
        b"HTTP/1.1  200 OK\r\n",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 2000 OK\r\n",
    ),
    *(
        b"HTTP/1.1 20 OK\r\n",
        b"\r\n" + OK,
        b"RTSP/1.0 200 OK\r\n",
        b"HTTP/1.1 101 Up\r\n\r\n" + OK,
        b"HTTP/1.1\t200 OK\r\n",
    ),
    *(b"HTTP/1.1 200 \xff\xfe\r\n", b"HTTP/1.1 200 O\x00K\r\n", b"HTTP/1.1 200 O\rK\r\n"),
    b"HTTP/1.1 103 A\r\nX-A: 1\r\n\r\n" + OK,
]
GOOD_HEADERS = [
    *(b"Content-Length: 2\r\n", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"X-A: 1\r\n", b"x-a:\tb c \r\n", b"Upgrade: h2c\r\n"),
]
ODD_HEADERS = [
    *(b"content-length: 02\r\n", b"Content-Length: +2\r\n", b"Content-Length: 2, 2\r\n", b"Content-Length: 2 \r\n"),
    *(b"Content-Length:\r\n", b"Content-Length: 2\r\n 2\r\n", b"Content-Length: 99999999999999999999\r\n"),
    *(b"Content-Length : 2\r\n", b"Content-Length: 2\n", b" Content-Length: 2\r\n", b"Content-Length: 2\r\r\n"),
    *(b"Transfer-Encoding: Chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n"),
    *(
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
    ),
    *(b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: chunked \r\n", b"Transfer-Encoding: \x0bchunked\r\n"),
    *(b"Connection: close, x\r\n", b"Connection: Upgrade\r\n", b"X-A: a\x00b\r\n", b"X-A: a\rb\r\n", b"X-A: \xe9\r\n"),
    *(b"X A: 1\r\n", b": 1\r\n", b"X\x00: 1\r\n", b"X-A: a\r\n\tb\r\n", b"X-A\r\n"),
]
BODIES = [
    *(
        b"",
        b"hi",
        b"hello",
        b"hi\r\n",
        b"2\r\nhi\r\n0\r\n\r\n",
        b"2\nhi\n0\n\n",
        b"2;a=b\r\nhi\r\n0\r\n\r\n",
        b"hi" + WHOLE,
    ),
    *(b"2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n", b"2\r\nhi\r\n0\r\nContent-Length: 9\r\n\r\n", b"2 \r\nhi\r\n0\r\n\r\n"),
    *(b"02\r\nhi\r\n0\r\n\r\n", b"2\r\nhiX\r\n0\r\n\r\n", b"-2\r\nhi\r\n0\r\n\r\n", b"0x2\r\nhi\r\n0\r\n\r\n"),
    *(b"2\r\nhi\r\n0\r\n", b"fffffffffffffffff\r\nhi", b"2\r\nhi\r\n0\r\n\r\n" + WHOLE, b"2;\r\nhi\r\n0\r\n\r\n"),
]
BYTES = [b"", b"\r", b"\n", b"\r\n", b" ", b"\x00", b":", b"0", b"\xff", b";", b","]


def mostly(usual, odd):
    """Draw from *usual* three times of four: with an oddity in each part, nothing would be read."""
    return st.integers(0, 3).flatmap(lambda number: st.sampled_from(usual if number else odd))


@st.composite
def answers(draw):
    headers = draw(st.lists(mostly(GOOD_HEADERS, ODD_HEADERS), max_size=3))
    data = draw(mostly([OK], ODD_LINES)) + b"".join(headers) + b"\r\n" + draw(st.sampled_from(BODIES))
    if draw(st.booleans()):
        return data
    place = draw(st.integers(0, len(data)))
    return data[:place] + draw(st.sampled_from(BYTES)) + data[place + draw(st.integers(0, 1)) :]


class TestBesideH11:
    @given(answers(), st.sampled_from(["GET", "GET", "POST", "HEAD"]), st.lists(st.integers(0, 400), max_size=4))
    def test_what_is_read_whole_is_what_h11_reads(self, data, method, pieces):
        """Where the two differ, an attacker could make one see a response that the other does not."""
        try:
            answer = read(data, method=method, pieces=pieces)
        except httpx.RemoteProtocolError:
            event("refused")
            return
        if answer.trouble is not None:
            event("cut short")
            return

        status, h11_headers, h11_body = read_by_h11(data, method=method)

        event("read")
        assert (answer.status, answer.body) == (status, h11_body)
        # h11 writes this value small.
        ours = [(name.lower(), value) for name, value in answer.headers]
        assert [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in ours] == h11_headers

    @given(st.binary(max_size=200))
    def test_no_bytes_make_it_fail_otherwise(self, data):
        with contextlib.suppress(httpx.RemoteProtocolError):
            assert read(b"HTTP/1.1 " + data).status >= 200


class TestRepeatedLength:
    LINES = (b"Content-Length: %b", b"content-length:%b ", b"X-A: content-length: 7")
    HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\ncontent-length: 2\t\r\n\r\n"

    @given(
        st.integers(0, 300),
        st.lists(
            st.sampled_from([b"Content-Length: %b", b"content-length:%b ", b"X-A: content-length: 7"]), max_size=6
        ),
        st.lists(st.integers(1, 40), min_size=1, max_size=8),
        st.booleans(),
    )
    def test_equal_ones_are_read_as_h11_reads_them(self, size, lines, cuts, interim):
        """R21: in whatever pieces the head comes."""
        number = b"%d" % size
        headers = [line % number if b"%b" in line else line for line in lines]
        first = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" if interim else b""
        message = first + b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: " + number, *headers, b"", b"x" * size])
        parser, start = ResponseParser("GET"), 0
        for cut in itertools.cycle(cuts):
            parser.feed(message[start : start + cut])
            start += cut
            if parser.done:
                break
        response = parser.finish()

        assert (response.body, response.trouble, response.reusable) == (b"x" * size, None, True)
        assert [name for name, _ in response.headers].count(b"X-A") == headers.count(b"X-A: content-length: 7")

    @pytest.mark.parametrize(
        "lines",
        [
            b"Content-Length: 2\r\nContent-Length: 3",
            b"Content-Length: 2, 3",
            b"Content-Length: 2,",
            b"Content-Length: 2\r\nContent-Length: 02",
            b"Content-Length: 2\r\nContent-Length: 2\r\n 0",
            b"Content-Length: 2\r\nContent-Length : 3\r\nContent-Length: 2",
            b"Content-Length: 2\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
            b"Content-Length: 2 2\r\nContent-Length: 2 2",
        ],
    )
    def test_what_could_be_read_in_two_ways_is_not(self, lines):
        """R12: two readers would see two responses."""
        parser = ResponseParser("GET")

        with pytest.raises(httpx.RemoteProtocolError):
            parser.feed(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n{}0" % lines)

    @pytest.mark.parametrize("end", range(17, len(HEAD)))
    def test_a_head_that_breaks_off_is_none(self, end):
        """R12: however much of it has come."""
        parser = ResponseParser("GET")
        parser.feed(self.HEAD[:end])

        with pytest.raises(httpx.RemoteProtocolError, match="within the response's head"):
            parser.finish()
