"""The methods of `client.plans`, `client.locations`, `client.operating_systems` and `client.account`."""

from __future__ import annotations

import builtins

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from .. import _endpoints
from .._checks import checked_key, plain_text
from .._context import Section
from .._models import OperatingSystem, Plan, Timeout
from .._policies import NOT_GIVEN
from . import reading
from .models import Account, Location
from .naming import may_be_named, named, with_names, with_version_names
from .pages import read_pages, read_pages_within


T = TypeVar("T", Plan, Location, OperatingSystem)

PLANS, LOCATIONS, SYSTEMS = "/plans/", "/locations/", "/operating-systems/"


class _Catalogue(Section):
    """The reading of one list of the API."""

    async def _all(
        self, path: str, read: Callable[[Any], T], timeout: Timeout, query: Mapping[str, str]
    ) -> builtins.list[T]:
        items = await read_pages(self._context.requester, path, query, self._with(timeout))
        return reading.items(items, read, path=path)

    async def _named(
        self,
        path: str,
        read: Callable[[Any], T],
        name: str,
        timeout: Timeout,
        *,
        names: Callable[[Iterable[T]], Iterable[tuple[T, Collection[str]]]] = with_names,
    ) -> T | None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        raw = await read_pages_within(self._context.requester, self._context.clock, path, self._with(timeout))
        items = reading.items(raw, read, path=path, skip=lambda item: not may_be_named(item, name))
        return named(names(items), name, path=path)


class Plans(_Catalogue):
    """The plans that a server can be created with. Every method takes `timeout`, in seconds, as those of servers do."""

    async def list(self, *, location: str | None = None, timeout: Timeout = NOT_GIVEN) -> builtins.list[Plan]:
        """Return all plans, or those of the datacenter with the code *location*. *timeout* is for each page.

        The filter is checked again: an API that ignores it does not add plans that are elsewhere.

        Raises:
            ResponseError: an item has no usable id, or the pages do not end.

        Cancellation: ends at once.

        Retries: when no response arrives.

        Source: VPS.org API documentation, 'Plans'.
        """
        if location is None:
            return await self._all(PLANS, reading.plan, timeout, {})
        if not isinstance(location, str):
            raise TypeError(f"location must be a datacenter code such as 'us-west', not {location!r}")
        plans = await self._all(PLANS, reading.plan, timeout, {"location": plain_text(location)})
        return [*filter(reading.has_location(location), plans)]

    async def get(self, plan_id: int | str, *, timeout: Timeout = NOT_GIVEN) -> Plan:
        """Return one plan.

        Raises:
            NotFoundError: the plan does not exist. `get_by_name` finds a plan by its slug.
            InvalidArgumentError: *plan_id* cannot be an id. Nothing was sent.

        Cancellation: ends at once.

        Retries: when no response arrives.

        Source: VPS.org API documentation, 'Plans'.
        """
        key = checked_key(plan_id, "plan", "an int or a str")
        return (await self._context.requester.send(_endpoints.plan(key), self._with(timeout))).value

    async def get_by_name(self, name: str, *, timeout: Timeout = NOT_GIVEN) -> Plan | None:
        """Return the plan with that name or slug, or `None`. *timeout* is for all pages together.

        Malformed items of the list that have another name are passed over.

        Raises:
            AmbiguousNameError: several plans have it. `ids` has their ids.
            ResponseError: an item of that name has no usable id.

        Cancellation: ends at once.
        """
        return await self._named(PLANS, reading.plan, name, timeout)


class Locations(_Catalogue):
    """The datacenters that a server can be created in."""

    async def list(self, *, timeout: Timeout = NOT_GIVEN) -> builtins.list[Location]:
        """Return all datacenters. *timeout* is for each page.

        Raises:
            ResponseError: an item has neither a usable id nor a code, or the pages do not end.

        Cancellation: ends at once.

        Retries: when no response arrives.

        Source: the vendor's `vps-mcp` 0.1.0; VPS.org does not document it.
        """
        return await self._all(LOCATIONS, reading.location, timeout, {})

    async def get_by_name(self, name: str, *, timeout: Timeout = NOT_GIVEN) -> Location | None:
        """Return the datacenter with that code or name, or `None`. *timeout* is for all pages together.

        Malformed items of the list that have another name are passed over.

        Raises:
            AmbiguousNameError: several datacenters have it. `ids` has their ids.
            ResponseError: an item of that name has neither a usable id nor a code.

        Cancellation: ends at once.
        """
        return await self._named(LOCATIONS, reading.location, name, timeout)


class OperatingSystems(_Catalogue):
    """The operating systems that a server can be created with."""

    async def list(self, *, timeout: Timeout = NOT_GIVEN) -> builtins.list[OperatingSystem]:
        """Return all operating systems, each with its `versions`. *timeout* is for each page.

        The id of a version is what a create takes as `os_id`.

        Raises:
            ResponseError: an item has no usable id, or the pages do not end.

        Cancellation: ends at once.

        Retries: when no response arrives.

        Source: the vendor's `vps-mcp` 0.1.0; VPS.org does not document it.
        """
        return await self._all(SYSTEMS, reading.operating_system, timeout, {})

    async def get_by_name(self, name: str, *, timeout: Timeout = NOT_GIVEN) -> OperatingSystem | None:
        """Return the system or the version of a system with that name, or `None`.

        A version is itself an `OperatingSystem`. Its `id` is what a create takes as `os_id`:
        `(await client.operating_systems.get_by_name("Ubuntu 22.04 LTS")).id`. *timeout* is for all pages together.

        Malformed items of the list that have another name are passed over.

        Raises:
            AmbiguousNameError: several systems or versions have it. `ids` has their ids.
            ResponseError: an item of that name has no usable id.

        Cancellation: ends at once.
        """
        return await self._named(SYSTEMS, reading.operating_system, name, timeout, names=with_version_names)


class AccountMethods(Section):
    """The account that the client's token belongs to."""

    async def me(self, *, timeout: Timeout = NOT_GIVEN) -> Account:
        """Return the account, and what the token allows. This is the cheapest proof that a token works.

        Any active token may ask, whatever its permissions.

        Raises:
            AuthenticationError: the token is missing or wrong.

        Cancellation: ends at once.

        Retries: when no response arrives.

        Source: VPS.org API documentation, 'Account'.
        """
        return (await self._context.requester.send(_endpoints.account(), self._with(timeout))).value
