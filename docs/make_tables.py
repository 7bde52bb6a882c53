"""Writes the tree and the tables of the pages in docs from the code: `python docs/make_tables.py`."""

from __future__ import annotations

import ast

from pathlib import Path

from vpsorg_async import _event_kinds
from vpsorg_async._polling.lifecycle import LASTING, TRANSITIONS
from vpsorg_async._request.call import RetrySafety
from vpsorg_async._request.outcome import Outcome
from vpsorg_async._request.retry import TABLE
from vpsorg_async._server_parts import ServerStatus


DOCS = Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "vpsorg_async"


def tree() -> str:
    """Return every folder and module with the first line of its docstring."""
    lines = []
    for path in sorted(PACKAGE.rglob("*.py"), key=_place):
        if path.parent == PACKAGE and path.name == "__init__.py":
            continue
        parts = path.relative_to(PACKAGE).parts
        name = f"{parts[-2]}/" if path.name == "__init__.py" else path.name
        indent = "  " * (len(parts) - (2 if path.name == "__init__.py" else 1))
        told = (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]
        lines.append(f"{indent + name:<30} {told}")
    return "\n".join(["```text", *lines, "```"])


def _place(path: Path) -> list[tuple[bool, str]]:
    """Return the place of a module: folders behind the modules beside them, each led by its own sentence."""
    parts = path.relative_to(PACKAGE).parts
    return [*((True, part) for part in parts[:-1]), (False, "" if parts[-1] == "__init__.py" else parts[-1])]


def lifecycle() -> str:
    """Return the commands, and the status that each of them leads from, through and to."""
    rows = [
        (f"`{name}`", _status(one.status_before), _status(one.transitional_status), _status(one.status_after))
        for name, one in TRANSITIONS.items()
    ]
    passing = {one.transitional_status for one in TRANSITIONS.values()}
    assert {*ServerStatus} == passing | LASTING
    lasting = ", ".join(f"`{status}`" for status in sorted(LASTING))
    table = _table(("command", "status before", "transitional status", "status after"), rows)
    return f"{table}\n\nA server stays in {lasting} until something is done to it."


def retry() -> str:
    """Return the verdict for each outcome of an attempt and each retry safety."""
    rows = [(outcome.value, *(_verdict(TABLE.get((safety, outcome))) for safety in RetrySafety)) for outcome in Outcome]
    return _table(("outcome of an attempt", *(f"`{safety.name}`" for safety in RetrySafety)), rows)


def _verdict(verdict: type | None) -> str:
    return "" if verdict is None else f"`{verdict.__name__}`"


def _status(status: ServerStatus | None) -> str:
    return "" if status is None else f"`{status}`"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PARTS = {
    "architecture.md": {"tree": tree, "lifecycle": lifecycle, "retry": retry},
    "events.md": {"events": _event_kinds.table},
}


def written(page: str, text: str) -> str:
    """Return the *text* of a page with each part between its marks made anew."""
    for name, make in PARTS[page].items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, found, rest = text.partition(begin)
        _, also, after = rest.partition(end)
        if not (found and also):
            raise ValueError(f"{page} has no marks for the part {name!r}")
        text = f"{before}{begin}{make()}\n{end}{after}"
    return text


if __name__ == "__main__":
    for page in PARTS:
        path = DOCS / page
        path.write_text(written(page, path.read_text()))
