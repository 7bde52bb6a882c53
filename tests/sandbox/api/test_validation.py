"""The bodies of requests: which are accepted, and how the others are refused."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import FIRST, SPEC
from vpsorg_async.sandbox._api.validation import CREATE, CREATE_BY_UUID, new_server
from vpsorg_async.sandbox._state.catalogue import PLANS_BY_UUID, UNDOCUMENTED
from vpsorg_async.sandbox._state.refusals import Refused


pytestmark = pytest.mark.anyio


def without(name):
    return {key: value for key, value in SPEC.items() if key != name}


WRONG_CREATES = {
    "no name": (without("name"), {"name": ["This field is required."]}),
    "no plan or os": (
        {"name": "a", "location": "us-west"},
        {"plan_id": ["This field is required."], "os_id": ["This field is required."]},
    ),
    "null": (SPEC | {"name": None}, {"name": ["This field may not be null."]}),
    "blank": (SPEC | {"name": ""}, {"name": ["This field may not be blank."]}),
    "name": (SPEC | {"name": "a_b"}, {"name": ["Enter a valid name of at most 63 letters, digits and hyphens."]}),
    "line feed": (
        SPEC | {"name": "a\n"},
        {"name": ["Enter a valid name of at most 63 letters, digits and hyphens."]},
    ),
    "name type": (SPEC | {"name": 7}, {"name": ["Not a valid string."]}),
    "hostname": (SPEC | {"hostname": "a b.c"}, {"hostname": ["Enter a valid fully qualified domain name."]}),
    "unknown plan": (SPEC | {"plan_id": 99}, {"plan_id": ['Invalid pk "99" - object does not exist.']}),
    "unknown os": (SPEC | {"os_id": 0}, {"os_id": ['Invalid pk "0" - object does not exist.']}),
    "plan type": (SPEC | {"plan_id": "1"}, {"plan_id": ["A valid integer is required."]}),
    "plan boolean": (SPEC | {"plan_id": True}, {"plan_id": ["A valid integer is required."]}),
    "unknown location": (SPEC | {"location": "mars"}, {"location": ['"mars" is not a valid choice.']}),
    "location type": (SPEC | {"location": ["us-west"]}, {"location": ["Not a valid string."]}),
    "backups": (SPEC | {"backups_enabled": "yes"}, {"backups_enabled": ["Must be a valid boolean."]}),
    "list": ([SPEC], {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
}
BROKEN = [b"{", b'{"name": NaN}', b"\xff", b"[" * 100_000, b'{"name": ' + b"1" * 5000 + b"}"]


class TestRefusals:
    async def test_a_wrong_create_names_the_field(self, api, sandbox):
        """X2: the refusal is a 400 in the shape of Django REST framework; no server is created."""
        for case, (body, errors) in WRONG_CREATES.items():
            answer = await api.post("/servers/", json=body)
            assert (case, answer.status_code, answer.json()) == (case, 400, errors)

        assert len(sandbox.servers) == 2

    async def test_broken_json_is_400(self, api, sandbox):
        """X2: any broken JSON is refused, and its call is recorded without a body."""
        for body in BROKEN:
            answer = await api.post("/servers/", content=body)
            assert answer.status_code == 400
            assert answer.json()["detail"].startswith("JSON parse error - ")

        assert (len(sandbox.servers), {repr(call.json) for call in sandbox.calls}) == (2, {"None"})

    @pytest.mark.parametrize("surrogate", ['"\\ud800"', '"\\u0000"'])
    async def test_what_has_no_encoding_is_quoted_all_the_same(self, api, surrogate):
        """X2: the refusal can be encoded and sent."""
        body = b'{"name": "a", "plan_id": 1, "os_id": 5, "location": %s}' % surrogate.encode()

        assert (await api.post("/servers/", content=body)).status_code == 400

    async def test_put_names_what_it_lacks(self, api, sandbox):
        """X3: the refusal names each missing field, and nothing has changed."""
        before = sandbox.servers

        answer = await api.put("/servers/12345/", json={"name": "a"})

        required = ["This field is required."]
        assert (answer.status_code, answer.json()) == (400, {"hostname": required, "backups_enabled": required})
        assert sandbox.servers == before

    async def test_patch_checks_what_is_given(self, api):
        """X2: fields that are missing are not required."""
        wrong = await api.patch("/servers/12345/", json={"backups_enabled": 1})

        assert (wrong.status_code, wrong.json()) == (400, {"backups_enabled": ["Must be a valid boolean."]})
        assert (await api.patch("/servers/12345/", json={"unknown": 1})).status_code == 200


good = {
    "name": st.just("web-9"),
    "plan_id": st.just(1),
    "os_id": st.just(1),
    "hostname": st.sampled_from(["web-9", "web-9.example.com"]),
    "plan": st.sampled_from([*PLANS_BY_UUID]),
    "location": st.sampled_from(["us-west", *(location["id"] for location in UNDOCUMENTED["locations"])]),
    "os_version": st.just(UNDOCUMENTED["operating-systems"][0]["versions"][0]["uuid"]),
    "ssh_keys": st.just([FIRST]),
}
anything = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3)
bodies = st.fixed_dictionaries({}, optional={name: value | anything for name, value in good.items()})


def read(body):
    """Return the status, and the names of the accepted or the wrong fields of *body*."""
    try:
        return 201, new_server(body).keys()
    except Refused as refused:
        return refused.status, refused.body.keys()


@given(bodies | anything)
def test_any_body_of_a_create_is_a_server_or_names_fields_of_one_of_the_two_kinds(body):
    """X2: this holds for any mixture of the two kinds of body."""
    status, names = read(body)

    if status == 201:
        assert names == CREATE.keys()
    else:
        assert status == 400
        assert any(names <= known for known in (CREATE.keys(), CREATE_BY_UUID.keys(), {"non_field_errors"}))
