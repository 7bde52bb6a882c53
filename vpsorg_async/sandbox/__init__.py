"""The API itself, offline: for tests, demos, and trying things that would cost money."""

from __future__ import annotations


try:
    from ._sandbox import Sandbox
    from ._state.backend import Call
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
        raise
    raise ModuleNotFoundError(
        "the sandbox needs starlette and uvicorn: pip install 'vpsorg-async[sandbox]'", name=error.name
    ) from error


__all__ = ["Call", "Sandbox"]
