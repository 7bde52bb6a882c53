"""Which addresses of a server are tried, and the words for how that failed."""

from __future__ import annotations

import errno
import ipaddress
import os

import pytest

from hypothesis import given
from hypothesis import strategies as st

from vpsorg_async import InvalidArgumentError, Server
from vpsorg_async._polling.addresses import NO_ROUTE, addresses_of, checked_port, end_point, no_route, words_of


def failure(number):
    return OSError(number, os.strerror(number))


REFUSED, UNREACHABLE, NO_HOST = (failure(one) for one in (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH))
FAILURES = st.dictionaries(
    st.sampled_from(["192.0.2.7", "2001:db8::7"]), st.sampled_from([None, REFUSED, UNREACHABLE, NO_HOST])
)


def server(ipv4=None, ipv6=None):
    return Server(id=7, name="web-01", status="active", ip_address=ipv4, ipv6_address=ipv6)


class TestAddresses:
    @pytest.mark.parametrize(
        ("given", "addresses"),
        [
            ((None, None), ()),
            (("192.0.2.7", None), ("192.0.2.7",)),
            ((None, "2001:db8::7"), ("2001:db8::7",)),
            (("192.0.2.7", "2001:0db8::0007"), ("192.0.2.7", "2001:db8::7")),
            ((" 192.0.2.7/24", "2001:db8::7/64"), ("192.0.2.7", "2001:db8::7")),
            (("", "localhost"), ()),
            (("0.0.0.0", "::"), ()),
            (("192.0.2.7; rm -rf /", "192.0.2.7"), ("192.0.2.7",)),
            (("192.0.2.7", "192.0.2.7"), ("192.0.2.7",)),
        ],
    )
    def test_both_are_tried_in_their_usual_form(self, given, addresses):
        assert addresses_of(server(*given)) == addresses

    @given(st.one_of(st.none(), st.text(), st.ip_addresses().map(str)), st.one_of(st.none(), st.text()))
    def test_only_ip_addresses_are_tried(self, ipv4, ipv6):
        """Never a name, which would have to be looked up."""
        for address in addresses_of(server(ipv4, ipv6)):
            assert str(ipaddress.ip_address(address)) == address
            assert not ipaddress.ip_address(address).is_unspecified


class TestNoRoute:
    @given(FAILURES)
    def test_all_of_them_must_lack_one(self, failures):
        expected = bool(failures) and all(error is UNREACHABLE for error in failures.values())

        assert no_route(failures) == expected

    @pytest.mark.parametrize("number", sorted(NO_ROUTE))
    def test_each_of_the_systems_words_says_so(self, number):
        assert no_route({"192.0.2.7": failure(number)})


class TestWords:
    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (None, "did not answer"),
            (failure(errno.ETIMEDOUT), "did not answer"),
            (REFUSED, "refused the connection"),
            (UNREACHABLE, "has no route from this machine (Network is unreachable)"),
            (NO_HOST, "failed (No route to host)"),
            (OSError("odd"), "failed (odd)"),
        ],
    )
    def test_they_name_the_address_the_port_and_the_reason(self, error, words):
        assert words_of({"192.0.2.7": error}, 22) == f"192.0.2.7:22 {words}"

    def test_there_are_some_for_each_address(self):
        words = words_of({"192.0.2.7": REFUSED, "2001:db8::7": None}, 443)

        assert words == "192.0.2.7:443 refused the connection, [2001:db8::7]:443 did not answer"

    def test_an_ipv6_address_is_in_brackets(self):
        assert end_point("::1", 22) == "[::1]:22"


class TestPort:
    @pytest.mark.parametrize("port", [1, 22, 65535])
    def test_one_that_exists_will_do(self, port):
        assert checked_port(port) == port

    @pytest.mark.parametrize("port", [0, -1, 65536, 10**400])
    def test_one_that_does_not_exist_is_refused(self, port):
        with pytest.raises(InvalidArgumentError, match=r"^port=-?\d+: give 1 to 65535$"):
            checked_port(port)

    @pytest.mark.parametrize("port", ["22", None, True, 22.0])
    def test_one_that_is_no_int_is_refused(self, port):
        with pytest.raises(TypeError, match=r"^port must be an int, not "):
            checked_port(port)
