"""Finds the proxy, if any, that the environment names for the API's address."""

from __future__ import annotations

import importlib.util
import ipaddress
import os

from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import attrs

from .. import _http as httpx
from .._errors import ConfigurationError
from .types import origin_of, place_of


_SCHEMES = ("http", "https", "socks5", "socks5h")


@attrs.frozen(eq=False, repr=False)
class ChosenProxy:
    """A proxy, and the environment variable that names it; empty: it was given as an argument."""

    proxy: httpx.Proxy
    variable: str = ""

    @property
    def route(self) -> str:
        """The way through this proxy as errors name it: no user, no password."""
        named = f", which {self.variable} names" if self.variable else ""
        return f"through the proxy {place_of(origin_of(self.proxy.url))}{named}"


def choose_proxy(given: str | None, base_url: httpx.URL) -> ChosenProxy | None:
    """Return the proxy to use: the *given* one, else that of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, minus NO_PROXY.

    Passing a transport to httpx switches its own reading of these variables off, so it is done here, with the standard
    library's.

    Raises:
        ConfigurationError: its URL cannot be used. It is not shown, as it may hold a password.
    """
    if given is not None:
        return ChosenProxy(_usable(given, "proxy="))
    # The token may go unencrypted to this machine only, and not to whoever runs the proxy.
    if base_url.scheme == "http" and is_loopback(base_url.host):
        return None
    proxies = getproxies_environment()
    kind = base_url.scheme if proxies.get(base_url.scheme) else "all"
    # With its port, as NO_PROXY may name one: the standard library looks for the host both with and without it.
    _, host, port = origin_of(base_url)
    url = proxies.get(kind)
    if not url or proxy_bypass_environment(f"{host.removesuffix('.')}:{port}", proxies):
        return None
    variable = _variable_of(kind, url)
    return ChosenProxy(_usable(url if "://" in url else f"http://{url}", variable), variable)


def _variable_of(kind: str, url: str) -> str:
    """Return the environment variable for *kind* that holds *url*; its name may be in either case."""
    names = (name for name in os.environ if name.lower() == f"{kind}_proxy")
    return next((name for name in names if os.environ[name] == url), f"{kind.upper()}_PROXY")


def _usable(url: str, source: str) -> httpx.Proxy:
    try:
        proxy = httpx.Proxy(url)
    except (ValueError, TypeError, httpx.InvalidURL):
        proxy = None
    if proxy is None or proxy.url.scheme not in _SCHEMES or not proxy.url.host:
        raise ConfigurationError(
            f"{source} names a proxy that cannot be used: it must be an http://, https:// or socks5:// URL with a host "
            "(not shown here)"
        )
    if proxy.url.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigurationError(
            f"{source} names a {proxy.url.scheme}:// proxy, which needs the package socksio: pip install 'httpx[socks]'"
        )
    return proxy


def is_loopback(host: str) -> bool:
    """Whether *host* is the name or address of this machine."""
    host = host.removesuffix(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or bool(getattr(address, "ipv4_mapped", None) and address.ipv4_mapped.is_loopback)  # type: ignore[union-attr]
