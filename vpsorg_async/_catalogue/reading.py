"""Reads plans, datacenters, operating systems and accounts from JSON. Pure.

The vendor's documentation and its `vps-mcp` give them in different shapes, and both are read. As for servers, a value
that does not fit stays in `extra`, and so does what another shape has under another name.
"""

from __future__ import annotations

import re

from datetime import date
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .. import _decoding
from .._decoding import EXTRA, KEY, PLAN, SYSTEM, TEXT, Form, dump_nested, json_type
from .._dialect import PLAN_DIALECT, UUID_DIALECT, Dialect, fill_from_dialect
from .._errors import ResponseError
from .._schemas import describe, written
from .._secrets import without_secrets
from .models import Account, Location, TokenInfo


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._decoding import JSON
    from .._server_parts import OperatingSystem, Plan


T = TypeVar("T")

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TOKEN_ITSELF: Final = frozenset({"key", "value", "plain", "plaintext", "plain_text", "raw", "hash", "digest"})
"""Fields that may hold a token itself where they describe it: Django REST framework calls it `key` (assumed)."""


# Plans, datacenters and operating systems


def plan(data: Any) -> Plan:
    """Read a plan.

    Raises:
        ValueError: *data* is no object, or has no usable id.
    """
    found = PLAN.make(_values(PLAN, data, PLAN_DIALECT))
    if found.id is None:
        raise ValueError("no usable id")
    return found


def location(data: Any) -> Location:
    """Read a datacenter.

    Raises:
        ValueError: *data* is no object, or has neither a usable id nor a code.
    """
    found = _LOCATION.make(_values(_LOCATION, data, _LOCATION_DIALECT))
    if found.id is None and found.code is None:
        raise ValueError("no usable id")
    return found


def operating_system(data: Any) -> OperatingSystem:
    """Read an operating system with its versions.

    Raises:
        ValueError: *data* is no object, or neither it nor a version of it has a usable id.
    """
    found = SYSTEM.make(_values(SYSTEM, data, UUID_DIALECT))
    if found.id is None and not any(version.id is not None for version in found.versions or ()):
        raise ValueError("no usable id")
    return found


def items(
    data: Sequence[Any], read: Callable[[Any], T], *, path: str, skip: Callable[[Any], bool] | None = None
) -> list[T]:
    """Return what *read* makes of each item of the list at *path*. Malformed items that *skip* names are left out.

    Raises:
        ResponseError: another item is malformed.
    """
    found: list[T] = []
    for number, item in enumerate(data):
        try:
            found.append(read(item))
        except ValueError as error:
            trouble = f"GET {path}: item {number} of the list: {error}"
        else:
            continue
        if skip is None or not skip(item):
            raise ResponseError(trouble, request_summary=f"GET {path}")
    return found


def has_location(code: str) -> Callable[[Plan], bool]:
    """Return whether a plan is at the datacenter *code*, or does not tell: an API may ignore the filter."""
    wanted = code.casefold()
    return lambda plan: plan.locations is None or wanted in map(str.casefold, plan.locations)


# The account


def account(data: JSON) -> Account:
    """Read the account, and what is told of the token.

    Raises:
        ValueError: *data* is no object.
    """
    if type(data) is not dict:
        raise ValueError(f"no object but {json_type(data)}")
    fields = {name: value for name, value in data.items() if name != "token"}
    own: JSON = data.get("account")
    if type(own) is dict:
        del fields["account"]
        fields |= own
        fields.pop("token", None)
    values = _values(_ACCOUNT, fields, ())
    values[_ACCOUNT.places["token"]] = _token(data.get("token"))
    return _ACCOUNT.make(values)


def _token(data: JSON) -> TokenInfo:
    # A text would be the token itself.
    fields = data if type(data) is dict else {}
    values = _values(_TOKEN, {name: value for name, value in fields.items() if name not in _TOKEN_ITSELF}, ())
    place = _TOKEN.places["permissions"]
    values[place] = values[place] or ()
    return _TOKEN.make(values)


# Values


def _values(form: Form[Any], data: JSON, dialect: Dialect) -> list[Any]:
    if type(data) is not dict:
        raise ValueError(f"no object but {json_type(data)}")
    values = form.read(data)
    fill_from_dialect(values, form.places, dialect)
    values[EXTRA] = without_secrets(values[EXTRA])
    return values


def _day(value: Any) -> date | None:
    if type(value) is str and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return _decoding.moment(value)


_LOCATION_DIALECT: Final[Dialect] = (*UUID_DIALECT, ("code", lambda extra: _decoding.text(extra.get("slug")) or None))

_LOCATION: Final = Form(
    Location,
    {
        "id": KEY,
        "code": TEXT,
        "name": TEXT,
        "country_name": TEXT,
        "country_code": TEXT,
        "is_active": (bool, _decoding.boolean),
    },
)
_TOKEN: Final = Form(TokenInfo, {"name": TEXT, "permissions": (tuple, _decoding.texts)})
_ACCOUNT: Final = Form(
    Account,
    {
        "email": TEXT,
        "first_name": TEXT,
        "last_name": TEXT,
        "company_name": TEXT,
        "created_at": (date, _day),
        "token": (TokenInfo, lambda _: None),
    },
)


def _write_account(account: Account) -> dict[str, Any]:
    data = {**dump_nested(account), "token": dump_nested(account.token)}
    return {name: written(value) if isinstance(value, date) else value for name, value in data.items()}


describe(TokenInfo, write=dump_nested, read=_token, required=())
describe(Account, write=_write_account, read=account, required=())
