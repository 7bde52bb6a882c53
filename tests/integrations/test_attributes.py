"""The names of attributes, as the conventions for HTTP have them."""

from __future__ import annotations

from vpsorg_async.integrations._attributes import attributes_of, attributes_of_call


FIELDS = {
    "call": 3,
    "wait": None,
    "fleet": 4,
    "method": "GET",
    "template": "/servers/{id}/",
    "server": 7,
    "status": 200,
    "request_id": None,
    "queued": 0.5,
}


def test_fields_have_the_names_of_the_conventions_or_that_of_what_they_are_about():
    """Numbers of calls, waits and fleets are what the tree of spans says. A field without a value is left out."""
    assert attributes_of("call", FIELDS) == {
        "http.request.method": "GET",
        "url.template": "/servers/{id}/",
        "vpsorg.server.id": "7",
        "http.response.status_code": 200,
        "vpsorg.call.queued": 0.5,
    }


def test_a_measurement_has_few_different_attributes():
    assert attributes_of_call(FIELDS) == {"http.request.method": "GET", "url.template": "/servers/{id}/"}
