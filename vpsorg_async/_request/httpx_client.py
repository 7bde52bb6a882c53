"""Is `client.http`: httpx's client without cookies, whose every call goes through `send`."""

from __future__ import annotations

from typing import Any

import httpx

from .shortcut import ShortcutClient


class HTTPClient(ShortcutClient):
    """An `httpx.AsyncClient` whose every call goes through `send`, which tracing tools replace, and its transport."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._none = _NoCookies()

    @property
    def cookies(self) -> httpx.Cookies:
        return self._none

    @cookies.setter
    def cookies(self, _cookies: object) -> None:
        raise AttributeError("cookies are neither kept nor sent")


class _NoCookies(httpx.Cookies):
    """Neither kept nor sent. httpx looks for some in each response, which takes longer than reading it."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass

    def set_cookie_header(self, request: httpx.Request) -> None:
        pass
