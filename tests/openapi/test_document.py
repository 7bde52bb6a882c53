"""The document itself: valid, and at one with what the sandbox checks."""

from __future__ import annotations

import json

import httpx
import jsonschema_rs
import openapi_spec_validator
import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import AUTHORIZED
from vpsorg_async.sandbox import Sandbox
from vpsorg_async.sandbox._openapi.document import document


DOCUMENT = document()
EXAMPLES = [
    (f"{where} {media['schema']}", media["schema"], media["example"])
    for where, media in (
        *(
            (f"{method} {path} {status}", media)
            for path, item in DOCUMENT["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
            for status, part in [("asked", operation.get("requestBody", {})), *operation["responses"].items()]
            for media in part.get("content", {}).values()
        ),
        *(
            (status, media)
            for status, part in DOCUMENT["components"]["responses"].items()
            for media in part["content"].values()
        ),
    )
    if "example" in media
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10),
    st.floats(allow_nan=False).filter(lambda value: not value.is_integer()),  # 2.0 is an integer to JSON Schema
    st.text(max_size=5),
    st.from_regex(r"[A-Za-z0-9.-]{1,70}", fullmatch=True),
    st.sampled_from(
        ["us-west", "web-01", "web01.example.com", "a" * 63, "a" * 64, "a.b\n", f"{'a.' * 126}a", f"{'a.' * 126}ab"]
    ),
    st.lists(st.integers(), max_size=2),
)


def validator(schema):
    """Return what checks values by a *schema* that may point into the document."""
    return jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]})


def test_it_is_an_openapi_document():
    openapi_spec_validator.validate(DOCUMENT)


@pytest.mark.parametrize(("schema", "example"), [example[1:] for example in EXAMPLES], ids=[one[0] for one in EXAMPLES])
def test_each_example_is_as_its_schema_says(schema, example):
    validator(schema).validate(example)


def test_there_are_examples():
    """Of every response with a body, of every body, of every refusal; `power/` is not described."""
    assert len(EXAMPLES) == 8 + 5 + 3 + 6


GOOD = {
    "name": "web-01",
    "plan_id": 1,
    "os_id": 5,
    "location": "us-west",
    "hostname": "web01.example.com",
    "ssh_key_id": 3,
    "backups_enabled": True,
}
ODD = [
    *(None, True, 0, 1, -1, 4, 5, 6, 7, 99, 1.5, 10**30, "", "1", "a", "a\n", "a_b", "é", "us-west", "mars", [], {}),
    *("a" * 63, "a" * 64, "a.b", "a.b\n", "a..b", "a.1", "a.b-", "-a.b", f"{'a.' * 126}a", f"{'a.' * 126}ab"),
]


BODIES = {
    "Create": ("POST", "/servers/"),
    "Settings": ("PUT", "/servers/12345/"),
    "Changes": ("PATCH", "/servers/12345/"),
}


@pytest.fixture(scope="module")
def taken():
    """Give a function that tells whether the sandbox takes a body."""
    with (
        Sandbox(servers=1).serve() as base_url,
        httpx.Client(base_url=base_url, headers=AUTHORIZED) as client,
    ):

        def ask(name, body):
            method, path = BODIES[name]
            answer = client.request(method, path, content=json.dumps(body))
            assert answer.status_code in (200, 201, 400)
            return answer.is_success

        yield ask


@pytest.mark.parametrize("name", BODIES)
class TestBodies:
    @given(data=st.data())
    def test_a_body_is_valid_where_the_sandbox_takes_it(self, taken, name, data):
        fields = DOCUMENT["components"]["schemas"][name]["properties"]
        body = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys((*fields, "unknown"), VALUES)))

        assert validator({"$ref": f"#/components/schemas/{name}"}).is_valid(body) is taken(name, body)

    def test_each_value_of_each_field_is_valid_where_the_sandbox_takes_it(self, taken, name):
        """One field at a time, in a body that is valid otherwise."""
        fields = DOCUMENT["components"]["schemas"][name]["properties"]
        good = {field: value for field, value in GOOD.items() if field in fields}
        check = validator({"$ref": f"#/components/schemas/{name}"})

        for field in fields:
            for value in ODD:
                body = good | {field: value}
                assert (field, value, check.is_valid(body)) == (field, value, taken(name, body))
