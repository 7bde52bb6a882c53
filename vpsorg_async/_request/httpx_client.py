"""Is `client.http`: httpx's client without cookies, whose every call goes through `send`."""

from __future__ import annotations

from typing import Any

from .. import _http as httpx
from .._errors import ClientClosedError
from .shortcut import ShortcutClient


class HTTPClient(ShortcutClient):
    """An `httpx.AsyncClient` whose every call goes through `send`, which tracing tools replace, and its transport."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._none = _NoCookies()

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        if self.is_closed:
            # httpx has an error of its own for it, which no handler of this library's errors catches.
            raise ClientClosedError("the client is closed", sent=False)
        return await super().send(request, **options)

    @property
    def cookies(self) -> httpx.Cookies:
        return self._none

    @cookies.setter
    def cookies(self, cookies: object) -> None:  # noqa: ARG002 - named as in the base class
        raise AttributeError("cookies are neither kept nor sent")


class _NoCookies(httpx.Cookies):
    """Neither kept nor sent. httpx looks for some in each response, which takes longer than reading it."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass

    def set_cookie_header(self, request: httpx.Request) -> None:
        pass
