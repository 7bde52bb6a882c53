"""The fixtures of the pytest plugin, for a project that loads its plugins by name.

pytest finds the plugin by itself. Where the automatic loading of plugins is turned off, the plugin is loaded by
`-p vpsorg_async.testing` on the command line, or by `pytest_plugins = ["vpsorg_async.testing"]` in a `conftest.py`.
"""

from __future__ import annotations


try:
    from _vpsorg_async_pytest_plugin import vpsorg_client, vpsorg_sandbox
except ModuleNotFoundError as _error:
    if _error.name != "pytest":
        raise
    raise ModuleNotFoundError("vpsorg_async.testing needs pytest: pip install pytest", name="pytest") from _error


__all__ = ["vpsorg_client", "vpsorg_sandbox"]
