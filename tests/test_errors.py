"""The tree of errors: as its module draws it, each with a line that says what happened."""

from __future__ import annotations

import json
import multiprocessing
import re
import sys

import pytest

from tests.test_pickling import ERRORS, facts_of, made
from vpsorg_async import NotFoundError, _errors
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


def through_json(error):
    """Return *error* as a task queue's JSON result backend rebuilds it: Celery's stores module, name and arguments."""
    stored = json.dumps([type(error).__module__, type(error).__name__, error.args])
    module, name, arguments = json.loads(stored)
    return getattr(sys.modules[module], name)(*arguments)


def fail(error):
    raise error


@pytest.fixture(scope="module")
def processes():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield pool


class TestRebuilt:
    @pytest.mark.parametrize("kind", ERRORS)
    def test_class_and_message_are_kept_and_nothing_harmless_is_made_up(self, kind):
        """I4: a JSON result backend keeps class and message. Every other attribute is `None`: not known."""
        error = made(kind)

        back = through_json(error)

        assert (type(back), str(back), repr(back)) == (kind, str(error), repr(error))
        told = vars(error).keys() - {"__notes__"}
        assert {name: getattr(back, name) for name in told} == dict.fromkeys(told)

    @pytest.mark.parametrize("kind", ERRORS)
    def test_what_was_rebuilt_can_be_pickled_and_printed(self, kind):
        back = through_json(made(kind))

        assert facts_of(_errors.picklable(back)) == facts_of(back)

    @pytest.mark.parametrize("kind", ERRORS)
    def test_a_worker_process_gives_back_what_it_failed_with(self, kind, processes):
        """I4: `multiprocessing` keeps class, message and attributes. The cause is its own traceback."""
        error = made(kind)

        with pytest.raises(kind) as caught:
            processes.apply(fail, (error,))

        assert facts_of(caught.value)[:4] == facts_of(error)[:4]

    def test_whether_it_was_sent_is_not_known(self):
        """I4: `sent` never becomes false. A fleet would then repeat what may have been executed."""
        assert _errors.APITimeoutError(*_errors.APITimeoutError("late", sent=True).args).sent is None
        assert NotFoundError("gone").sent is None
