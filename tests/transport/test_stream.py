"""A stream on public names alone: what is readable, and what has ended."""

from __future__ import annotations

import socket

import pytest

from vpsorg_async._transport.stream import readable


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


def test_a_socket_without_bytes_is_not_readable(pair):
    assert not readable(pair[0].fileno())


def test_one_with_bytes_is(pair):
    pair[1].send(b"x")

    assert readable(pair[0].fileno())


def test_so_is_one_whose_other_side_has_gone(pair):
    pair[1].close()

    assert readable(pair[0].fileno())


def test_one_that_is_closed_counts_as_ended(pair):
    pair[0].close()

    assert readable(pair[0].fileno())
