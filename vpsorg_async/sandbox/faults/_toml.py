"""Read faults from a TOML file."""

from __future__ import annotations

import tomllib

from typing import TYPE_CHECKING, Any

from ._fault import Fault
from ._kinds import KINDS


if TYPE_CHECKING:
    from pathlib import Path


def read_faults(path: Path) -> list[Fault]:
    """Return the faults in the file at *path*, one for each `[[fault]]` table.

    A table has the key `kind` and the arguments of the class method of `Fault` with that name.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file has a mistake; the message names the file, the table and the key.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid TOML: {error}") from None
    tables: list[Any] | dict[str, Any] | str | float | None = data.pop("fault", None)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables) or data:
        raise ValueError(f"{path}: must contain one or more [[fault]] tables and nothing else")
    return [_fault(table, f"{path}, fault {number}") for number, table in enumerate(tables, start=1)]


def _fault(table: dict[str, Any], where: str) -> Fault:
    arguments = dict(table)
    kind = arguments.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        given = "kind is missing" if kind is None else f"kind = {kind!r}"
        raise ValueError(f"{where}: {given}; it must be one of {', '.join(KINDS)}")
    try:
        fault: Fault = getattr(Fault, kind)(**arguments)
    except (TypeError, ValueError) as error:
        # Python's own message on a wrong key begins with the name of the method.
        text = str(error).removeprefix(f"Fault.{kind}() ").removeprefix("Fault.__init__() ")
        raise ValueError(f"{where}, kind = {kind!r}: {text}") from None
    return fault
