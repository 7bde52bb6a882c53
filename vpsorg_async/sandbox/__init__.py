"""Provide the VPS.org servers API offline, for tests, demos and trials that would otherwise cost money."""

from __future__ import annotations


try:
    from ._sandbox import Sandbox
    from ._state.calls import Call
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
        raise
    raise ModuleNotFoundError(
        "the sandbox needs starlette and uvicorn: pip install 'vpsorg-async[sandbox]'", name=error.name
    ) from error


__all__ = ["Call", "Sandbox"]

# Their public place: the name by which a pickle and an error message know them.
Call.__module__ = Sandbox.__module__ = __name__
