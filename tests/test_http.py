"""The names of httpx come from one module, and are httpx's own."""

from __future__ import annotations

import httpx
import pytest

from vpsorg_async import _http


@pytest.mark.parametrize("name", sorted({*_http.__all__} - {"CORE", "PACKAGE", "make_transport"}))
def test_each_name_is_httpxs_own(name):
    assert getattr(_http, name) is getattr(httpx, name)


def test_the_packages_are_named_as_they_are_imported():
    """By these names the token is kept out of what they log, and mocks are found that replaced a part of them."""
    __import__(_http.CORE)

    assert httpx.URL.__module__ == _http.PACKAGE
