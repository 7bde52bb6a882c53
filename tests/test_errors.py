"""The tree of errors: as its module draws it, each with a line that says what happened."""

from __future__ import annotations

import re

import pytest

from vpsorg_async import _errors
from vpsorg_async._errors import VPSError


def drawn():
    """Return the tree in the module's docstring: each class and the class above it."""
    tree, above = {}, {}
    for line in (_errors.__doc__ or "").splitlines():
        if found := re.match(r"([│├└─ ]*)(\w+Error)\b", line):
            depth = len(found[1]) // 4
            above[depth] = found[2]
            tree[found[2]] = above.get(depth - 1)
    return tree


def real():
    classes = [item for item in vars(_errors).values() if isinstance(item, type) and issubclass(item, VPSError)]
    return {
        kind.__name__: next((base.__name__ for base in kind.__bases__ if issubclass(base, VPSError)), None)
        for kind in classes
    }


def test_the_tree_is_drawn_as_it_is():
    assert drawn() == real()


def test_all_of_it_is_public():
    assert {name for name in _errors.__all__ if name.endswith("Error")} == set(real())


@pytest.mark.parametrize("name", real())
def test_each_says_in_a_sentence_what_happened(name):
    first = (getattr(_errors, name).__doc__ or "").splitlines()[0]

    assert first.endswith(".")
    assert not re.match(r"(What|Who|Whoever|Whatever)\b", first)


@pytest.mark.parametrize("kind", [_errors.APITimeoutError, _errors.WaitTimeoutError])
def test_what_timed_out_is_a_timeout_error(kind):
    """It prints as its text alone, although an OSError of two arguments would not."""
    error = kind("it took too long", request_summary="GET /servers/")

    assert isinstance(error, TimeoutError)
    assert str(error) == "it took too long"
