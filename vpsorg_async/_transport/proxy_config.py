"""Finds the proxy, if any, that the environment names for the API's address."""

from __future__ import annotations

import importlib.util

from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import httpx

from .._errors import ConfigurationError
from .types import origin_of


def choose_proxy(given: str | None, base_url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy to use: the *given* one, else that of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, minus NO_PROXY.

    Passing a transport to httpx switches its own reading of these variables off, so it is done here, with the standard
    library's.

    Raises:
        ConfigurationError: its URL cannot be used. It is not shown, as it may hold a password.
    """
    url = given
    if url is None:
        proxies = getproxies_environment()
        url = proxies.get(base_url.scheme) or proxies.get("all")
        # With its port, as NO_PROXY may name one: the standard library looks for the host both with and without it.
        _, host, port = origin_of(base_url)
        if not url or proxy_bypass_environment(f"{host}:{port}", proxies):
            return None
        if "://" not in url:
            url = f"http://{url}"
    try:
        proxy = httpx.Proxy(url)
    except (ValueError, TypeError, httpx.InvalidURL):
        proxy = None
    if proxy is None or proxy.url.scheme not in ("http", "https", "socks5", "socks5h") or not proxy.url.host:
        raise ConfigurationError("the proxy must be an http://, https:// or socks5:// URL with a host (not shown here)")
    if proxy.url.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigurationError("a socks5:// proxy needs the package socksio: pip install 'httpx[socks]'")
    return proxy
