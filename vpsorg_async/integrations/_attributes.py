"""Gives the fields of events the names that attributes of spans and metrics have. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Mapping


def attributes_of_call(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells the calls of one kind from others."""
    return {"http.request.method": fields["method"], "url.template": fields["template"]}


_NAMES = {"method": "http.request.method", "template": "url.template", "status": "http.response.status_code"}
_NAMES["server"] = "vpsorg.server.id"


def attributes_of(subject: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event as attributes; those that belong to the subject alone have its name in theirs."""
    return {
        _NAMES.get(name, f"vpsorg.{subject}.{name}"): str(value) if name == "server" else value
        for name, value in fields.items()
        if value is not None and name not in ("call", "wait", "fleet")
    }
