"""Provide the VPS.org servers API offline, for tests, demos and trials that would otherwise cost money."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_type_hints

from .._extras import Needing


if TYPE_CHECKING:
    from ._sandbox import Sandbox
    from ._state.calls import Call


__all__ = ["Call", "Sandbox"]


def __getattr__(name: str) -> object:
    """Import the sandbox when it is asked for, so that its command can name a missing extra in one line."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with Needing("sandbox"):
        from ._sandbox import Sandbox  # noqa: PLC0415 - see above
        from ._state.calls import Call  # noqa: PLC0415 - see above

    public: dict[str, type] = {"Call": Call, "Sandbox": Sandbox}
    for cls in public.values():
        # Resolved first: their names are not known in the public place.
        cls.__annotations__ = get_type_hints(cls)
        # Their public place: the name by which a pickle and an error message know them.
        cls.__module__ = __name__
    globals().update(public)
    return public[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
