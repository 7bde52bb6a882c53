"""What several test modules share: which row a test shows, and JSON in the API's own shape."""

from __future__ import annotations

import ast
import functools
import json
import re

from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = (".png",) if (ROOT / "PKG-INFO").exists() else ()
"""How the names end that are in the repository but not in the sdist, which is known by its PKG-INFO."""
ROW = re.compile(r"([WRCLPFTXID]\d+):(?:\s|$)")

ACTIVE: dict[str, Any] = {
    "name": "web-01",
    "status": "active",
    "hostname": "web01.example.com",
    "ip_address": "192.0.2.7",
    "ipv6_address": "2001:db8::7",
    "location": "us-west",
    "plan": {"id": 1, "name": "Standard VPS", "vcpus": 2, "memory": 4096, "storage": 80, "bandwidth": 2048},
    "os": {"id": 5, "name": "Ubuntu 22.04 LTS"},
    "backups_enabled": True,
    "resource_usage": {"cpu_percent": 15.5, "memory_used": 2048, "disk_used": 35, "bandwidth_used": 150},
    "created_at": "2025-10-15T10:30:00Z",
    "updated_at": "2025-10-15T10:35:00Z",
}
ONLY_IN_DETAIL = ("ipv6_address", "backups_enabled", "resource_usage")


def row_of(docstring: str | None) -> str | None:
    """Return the SCENARIOS code that a test's docstring begins with: `W1` of `W1: not fooled by the old status`."""
    found = ROW.match((docstring or "").lstrip())
    return found[1] if found else None


@functools.cache
def rows_shown() -> dict[Path, set[str]]:
    """Return the codes in the docstrings of each test file's tests."""
    shown = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if _is_test(node)]
        shown[path] = {row for node in functions if (row := row_of(ast.get_docstring(node)))}
    return shown


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def detail(server_id: int | str = 7, **changes: Any) -> dict[str, Any]:
    """Return a server as the detail endpoint gives it."""
    return {"id": server_id, **json.loads(json.dumps(ACTIVE)), **changes}


def listed(server_id: int | str = 7, **changes: Any) -> dict[str, Any]:
    """Return a server as the list endpoint gives it: without what only the detail has."""
    data = detail(server_id)
    for key in ONLY_IN_DETAIL:
        del data[key]
    del data["plan"]["bandwidth"]
    return {**data, **changes}


def page(*servers: dict[str, Any], count: int | None = None, **more: Any) -> dict[str, Any]:
    """Return one page of a list; `more` are `next` and `previous` where they matter."""
    return {"count": len(servers) if count is None else count, **more, "results": list(servers)}


def action(server_id: int | str = 7, status: str = "starting", message: str | None = None) -> dict[str, Any]:
    """Return the response to an accepted start, stop or reboot."""
    return {
        "status": "success",
        "message": message or f"Server is {status}",
        "server": {"id": server_id, "name": "web-01", "status": status},
    }
