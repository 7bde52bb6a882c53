"""The datacenters that servers can be in, and the account that a token belongs to."""

from __future__ import annotations

from datetime import date
from typing import Any

import attrs

from .._public import publish
from .._schemas import Described
from .._server_parts import keys_only


@attrs.frozen(kw_only=True)
class Location(Described):
    """A datacenter. `client.locations` lists them.

    Attributes:
        id: its key.
        code: the code that a create takes, such as `"us-west"`.
        name: its name.
        country_name: the name of its country.
        country_code: the code of its country, such as `"US"`.
        is_active: whether servers can be created there.
        extra: every field that the SDK does not know or cannot read. A repr shows only its keys.
    """

    id: int | str | None = None
    code: str | None = None
    name: str | None = None
    country_name: str | None = None
    country_code: str | None = None
    is_active: bool | None = None
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any], hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class TokenInfo(Described):
    """A token, as the API describes it. The token itself is not in it.

    Attributes:
        name: the name that its owner gave it.
        permissions: what it allows, such as `"servers:read"` or `"servers:*"`; empty if the API does not say.
        extra: every other field, without secrets. A repr shows only its keys.
    """

    name: str | None = None
    permissions: tuple[str, ...] = ()
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any], hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class Account(Described):
    """The account that a token belongs to. `client.account.me()` returns it.

    Attributes:
        email: the address of its owner.
        first_name: the owner's first name.
        last_name: the owner's last name.
        company_name: the owner's company.
        created_at: the day on which it was opened; a `datetime` in UTC if the API gives the time too.
        token: the token that asked.
        extra: every field that the SDK does not know or cannot read, without secrets. A repr shows only its keys.
    """

    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    company_name: str | None = None
    created_at: date | None = None
    token: TokenInfo = TokenInfo()
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any], hash=False, repr=keys_only)
    _nulls: tuple[str, ...] = attrs.field(default=(), init=False, eq=False, repr=False)


publish(Location, TokenInfo, Account)
