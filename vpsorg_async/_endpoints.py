"""Builds the `Call` of each endpoint, and checks what goes into its body; ids have been checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._checks import checked_name
from ._error_base import InvalidArgumentError
from ._policies import NOT_GIVEN, NotGivenType
from ._request import codec
from ._request.call import ANY_REFUSAL, Call, RetrySafety
from ._server_parts import ServerSpec


if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._catalogue.models import Account
    from ._models import Action, Plan, Server

LIST_PATH = "/servers/"

# The defaults of a create's arguments.
_NONE_GIVEN = (NOT_GIVEN, None, False)


def list_page(query: Mapping[str, str]) -> Call[codec.Page]:
    """Endpoint 1: one page of the account's servers."""
    return Call(method="GET", path=LIST_PATH, retry_safety=RetrySafety.SAFE, decode=codec.page, query=query)


def create(spec: ServerSpec) -> Call[Server]:
    """Endpoint 2: a new server."""
    return Call(
        method="POST",
        path=LIST_PATH,
        retry_safety=RetrySafety.RECONCILE,
        decode=codec.server,
        json=spec_body(spec),
        creates=True,
    )


def get(server_id: int | str) -> Call[Server]:
    """Endpoint 3: one server in detail."""
    return Call(
        method="GET",
        path=_path(server_id),
        server_id=server_id,
        retry_safety=RetrySafety.SAFE,
        decode=codec.server,
    )


def replace(server_id: int | str, *, name: str, hostname: str | None, backups_enabled: bool) -> Call[Server]:
    """Endpoint 4: all settings of a server."""
    body: dict[str, object] = {
        "name": checked_name(name),
        "hostname": hostname,
        "backups_enabled": backups_enabled,
    }
    return Call(
        method="PUT",
        path=_path(server_id),
        server_id=server_id,
        retry_safety=RetrySafety.IDEMPOTENT,
        decode=codec.server,
        json=_checked_settings(body),
        accepts_silence=True,
    )


def update(
    server_id: int | str,
    *,
    name: str | NotGivenType,
    hostname: str | NotGivenType | None,
    backups_enabled: bool | NotGivenType,
) -> Call[Server]:
    """Endpoint 5: the settings that are given.

    Raises:
        TypeError: none is.
    """
    given: dict[str, Any] = {"name": name, "hostname": hostname, "backups_enabled": backups_enabled}
    body = {key: value for key, value in given.items() if value is not NOT_GIVEN}
    if not body:
        raise TypeError("update() needs at least one of name, hostname and backups_enabled")
    if "name" in body:
        checked_name(body["name"])
    return Call(
        method="PATCH",
        path=_path(server_id),
        server_id=server_id,
        retry_safety=RetrySafety.IDEMPOTENT,
        decode=codec.server,
        json=_checked_settings(body),
        accepts_silence=True,
    )


def delete(server_id: int | str) -> Call[None]:
    """Endpoint 6: delete for good."""
    return Call(
        method="DELETE",
        path=_path(server_id),
        server_id=server_id,
        retry_safety=RetrySafety.IDEMPOTENT,
        decode=codec.nothing,
        repeat_refusals=ANY_REFUSAL,
    )


def command(server_id: int | str, name: str) -> Call[Action | None]:
    """Endpoints 7 to 9: start, stop or reboot a server. A response that says nothing is `None`."""
    return Call(
        method="POST",
        path=f"{LIST_PATH}{server_id}/{name}/",
        server_id=server_id,
        retry_safety=RetrySafety.RECONCILE if name == "reboot" else RetrySafety.STATE_CHECKED,
        decode=codec.action,
        action=True,
        accepts_silence=True,
        repeat_refusals=frozenset() if name == "reboot" else ANY_REFUSAL,
    )


def catalogue_page(path: str, query: Mapping[str, str]) -> Call[codec.Page]:
    """One page of the plans, the datacenters or the operating systems."""
    return Call(method="GET", path=path, retry_safety=RetrySafety.SAFE, decode=codec.checked_page, query=query)


def plan(plan_id: int | str) -> Call[Plan]:
    """One plan."""
    return Call(method="GET", path=f"/plans/{plan_id}/", retry_safety=RetrySafety.SAFE, decode=codec.plan)


def account() -> Call[Account]:
    """The account, and what the token allows."""
    return Call(method="GET", path="/account/me/", retry_safety=RetrySafety.SAFE, decode=codec.account)


def spec_of(spec: object, arguments: Mapping[str, Any]) -> ServerSpec:
    """Return what a create makes: *spec*, or a spec of *arguments*, its fields.

    Raises:
        TypeError: both are given, or neither, or *spec* is no `ServerSpec`.
    """
    required = ("name", "plan_id", "os_id", "location")
    if spec is NOT_GIVEN:
        if missing := [name for name in required if arguments[name] is NOT_GIVEN]:
            raise TypeError(f"create() needs {', '.join(missing)}, or a ServerSpec")
        return ServerSpec(**arguments)
    if not isinstance(spec, ServerSpec):
        raise TypeError(f"create() takes a ServerSpec, not {spec!r}; give its fields as keyword arguments")
    if given := [name for name, value in arguments.items() if value not in _NONE_GIVEN or type(value) is int]:
        raise TypeError(f"create() takes a ServerSpec or {', '.join(given)}, not both: use attrs.evolve(spec, …)")
    return spec


def spec_body(spec: ServerSpec) -> dict[str, object]:
    """Return the body of a create: what is required, and what was given of the rest.

    Raises:
        TypeError: an argument has the wrong type.
        InvalidArgumentError: the name has a forbidden character, an id is negative, or an argument is empty.
    """
    body: dict[str, object] = {"name": checked_name(spec.name)}
    for field in ("plan_id", "os_id", "ssh_key_id"):
        value = getattr(spec, field)
        if field == "ssh_key_id" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise TypeError(f"{field} must be an int or a str, not {value!r}")
        if value == "" or (isinstance(value, int) and value < 0):
            raise InvalidArgumentError(f"{field}={value!r} is no id: give 0 or more, or a str that is not empty")
        body[field] = value
    if not isinstance(spec.location, str):
        raise TypeError(f"location must be a datacenter code such as 'us-west', not {spec.location!r}")
    if not spec.location:
        raise InvalidArgumentError("location='' is empty: give a datacenter code such as 'us-west'")
    body["location"] = spec.location
    if spec.hostname is not None:
        body["hostname"] = spec.hostname
    body["backups_enabled"] = spec.backups_enabled
    return _checked_settings(body)


def _path(server_id: int | str) -> str:
    return f"{LIST_PATH}{server_id}/"


def _checked_settings(body: dict[str, object]) -> dict[str, object]:
    hostname, backups = body.get("hostname"), body.get("backups_enabled", False)
    if hostname is not None and not isinstance(hostname, str):
        raise TypeError(f"hostname must be a str or None, not {hostname!r}")
    if not isinstance(backups, bool):
        raise TypeError(f"backups_enabled must be a bool, not {backups!r}")
    return body
