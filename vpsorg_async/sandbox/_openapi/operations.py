"""Describe the endpoints, as far as the tables of the sandbox do not contain it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._api.endpoints import LARGEST_PAGE_SIZE, PAGE_SIZE
from .._state.account import LASTING, STATUSES
from .._state.catalogue import DOCUMENTED_PLANS, UNDOCUMENTED
from . import examples
from .schemas import ID, TEXT, Json


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


SERVER_PATH = "/servers/{server_id}/"


@attrs.frozen(kw_only=True)
class Operation:
    """The description of one endpoint, as far as the tables do not contain it.

    Attributes:
        name: the `operationId`.
        summary: one line.
        tag: the tag that it is listed under.
        status: the status of a success.
        response: the schema of the body of a success; `None` for no body.
        example: an example of that body.
        body: the schema of the request's body; `None` for no body.
        body_example: an example of the request's body.
        query: the query parameters.
        refusals: the statuses of refusals, except 401.
        links: the operations on the server in the response.
    """

    name: str
    summary: str
    tag: str = "servers"
    status: int = 200
    response: str | None
    example: Any = None
    body: str | None = None
    body_example: Any = None
    query: Sequence[Json] = ()
    refusals: Sequence[int] = ()
    links: Mapping[str, Json] = attrs.field(factory=dict[str, Json])


def _link(operation: str) -> Json:
    return {"operationId": operation, "parameters": {"server_id": "$response.body#/id"}}


_PAGES: Sequence[Json] = (
    {
        "name": "page",
        "in": "query",
        "description": "From 1, or `last`. A page after the last one is 404.",
        "schema": {"anyOf": [ID, {"const": "last"}]},
    },
    {
        "name": "page_size",
        "in": "query",
        "description": f"At most {LARGEST_PAGE_SIZE}; {PAGE_SIZE} if the value is not a number.",
        "schema": TEXT,
    },
)

_LIST_QUERY: Sequence[Json] = (
    {
        "name": "status",
        "in": "query",
        "description": f"Only servers with this status; documented are {', '.join(LASTING)}. Empty means any.",
        "schema": {"type": "string", "enum": ["", *STATUSES]},
    },
    {
        "name": "location",
        "in": "query",
        "description": "Only servers in this datacenter; an unknown one gives an empty list. Empty means any.",
        "schema": TEXT,
    },
    *_PAGES,
)

_PLANS_QUERY: Sequence[Json] = (
    {
        "name": "location",
        "in": "query",
        "description": "Only plans of this datacenter; an unknown one gives an empty list. Empty means any.",
        "schema": TEXT,
    },
    *_PAGES,
)

_LINKS = {name: _link(name) for name in ("get_server", "replace_server", "update_server", "delete_server")}
_COMMANDS = {"start": "Power on a stopped server", "stop": "Shut down gracefully", "reboot": "Reboot gracefully"}

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/servers/"): Operation(
        name="list_servers",
        summary="List all servers of the account",
        response="ServerList",
        example=examples.LIST,
        query=_LIST_QUERY,
        refusals=(400, 404),
    ),
    ("POST", "/servers/"): Operation(
        name="create_server",
        summary="Create a server",
        status=201,
        response="CreatedServer",
        example=examples.CREATED,
        body="Create",
        body_example=examples.CREATE,
        refusals=(400, 402, 403),
        links=_LINKS | {f"{name}_server": _link(f"{name}_server") for name in _COMMANDS},
    ),
    ("GET", SERVER_PATH): Operation(
        name="get_server",
        summary="Get the details of a server",
        response="Server",
        example=examples.DETAIL,
        refusals=(404,),
    ),
    ("PUT", SERVER_PATH): Operation(
        name="replace_server",
        summary="Replace the settings of a server",
        response="Server",
        example=examples.DETAIL,
        body="Settings",
        body_example=examples.SETTINGS,
        refusals=(400, 403, 404),
    ),
    ("PATCH", SERVER_PATH): Operation(
        name="update_server",
        summary="Update some settings of a server",
        response="Server",
        example=examples.DETAIL,
        body="Changes",
        body_example=examples.CHANGES,
        refusals=(400, 403, 404),
    ),
    ("DELETE", SERVER_PATH): Operation(
        name="delete_server",
        summary="Delete a server permanently",
        status=204,
        response=None,
        refusals=(403, 404),
    ),
    **{
        ("POST", f"{SERVER_PATH}{name}/"): Operation(
            name=f"{name}_server",
            summary=summary,
            response="Action",
            example=examples.action(name),
            refusals=(400, 403, 404),
        )
        for name, summary in _COMMANDS.items()
    },
    ("GET", "/plans/"): Operation(
        name="list_plans",
        summary="List the plans",
        tag="catalogue",
        response="PlanList",
        example=examples.page_of([*DOCUMENTED_PLANS.values()]),
        query=_PLANS_QUERY,
        refusals=(404,),
    ),
    ("GET", "/plans/{plan_id}/"): Operation(
        name="get_plan",
        summary="Get one plan",
        tag="catalogue",
        response="Plan",
        example=DOCUMENTED_PLANS[1],
        refusals=(404,),
    ),
    ("GET", "/account/me/"): Operation(
        name="get_account",
        summary="Get the account, and the permissions of the token",
        tag="catalogue",
        response="Account",
        example=examples.ACCOUNT,
    ),
    ("GET", "/locations/"): Operation(
        name="list_locations",
        summary="List the datacenters",
        tag="undocumented",
        response="LocationList",
        example=examples.page_of(UNDOCUMENTED["locations"]),
        query=_PAGES,
        refusals=(404,),
    ),
    ("GET", "/operating-systems/"): Operation(
        name="list_operating_systems",
        summary="List the operating systems and their versions",
        tag="undocumented",
        response="OperatingSystemList",
        example=examples.page_of(UNDOCUMENTED["operating-systems"]),
        query=_PAGES,
        refusals=(404,),
    ),
}
"""What servers are made from and done with, by method and path; the document describes all other endpoints briefly."""
