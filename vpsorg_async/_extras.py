"""Names the extra that has to be installed where a package of it is missing."""

from __future__ import annotations

import importlib.util

from typing import TYPE_CHECKING, Final, Literal, Self


if TYPE_CHECKING:
    from types import TracebackType

Extra = Literal["durable", "fastapi", "otel", "prometheus", "sandbox"]

_NEEDS: Final[dict[Extra, tuple[str, tuple[str, ...]]]] = {
    "durable": ("DurableFleets need dbos and filelock", ("dbos", "filelock")),
    "fastapi": ("vpsorg_async.integrations.fastapi needs FastAPI", ("fastapi", "starlette")),
    "otel": ("vpsorg_async.integrations.opentelemetry needs opentelemetry-api", ("opentelemetry",)),
    "prometheus": ("vpsorg_async.integrations.prometheus needs prometheus-client", ("prometheus_client",)),
    "sandbox": ("the sandbox needs starlette and uvicorn", ("starlette", "uvicorn")),
}
"""The sentence for each extra, and the packages that this library imports from it."""


def remedy(extra: Extra) -> str:
    """Return the line that says what needs *extra*, and how to install it."""
    return f"{_NEEDS[extra][0]}: pip install 'vpsorg-async[{extra}]'"


def missing(extra: Extra) -> str | None:
    """Return the line for a command that needs *extra*, or `None` if its packages are installed. Imports nothing."""
    installed = all(_is_installed(package) for package in _NEEDS[extra][1])
    return None if installed else remedy(extra)


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:
        # It is imported already, by something that left out what says where from.
        return True


class Needing:
    """`with Needing("otel"): import opentelemetry` raises an error that names the extra if the package is missing.

    Raises:
        ModuleNotFoundError: a package is missing. If it belongs to the extra, the message names the extra.
    """

    def __init__(self, extra: Extra) -> None:
        self._extra: Extra = extra

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ModuleNotFoundError):
            package = (error.name or "").partition(".")[0]
            if package in _NEEDS[self._extra][1]:
                raise ModuleNotFoundError(remedy(self._extra), name=error.name) from error
