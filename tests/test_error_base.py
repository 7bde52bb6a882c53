"""Errors leave the library without frames, requests and secrets, and can always be pickled."""

from __future__ import annotations

import pickle

import pytest

from vpsorg_async._error_base import ConfigurationError, VPSError, picklable, portable


class TwoArgumentsError(Exception):
    def __init__(self, first, second):
        super().__init__(first, second)


def reset_while_handling(error):
    try:
        raise error
    except KeyError as cause:
        raise ConnectionResetError("reset by peer") from cause


class TestPortable:
    def test_it_has_the_type_and_the_text_and_nothing_else(self):
        with pytest.raises(ConnectionResetError) as caught:
            reset_while_handling(KeyError("inside"))

        copy = portable(caught.value)

        assert (type(copy), str(copy)) == (ConnectionResetError, "reset by peer")
        assert (copy.__traceback__, copy.__context__, copy.__cause__) == (None, None, None)

    def test_a_text_that_may_hold_a_secret_is_replaced(self):
        assert str(portable(ValueError("Bearer hunter2"), "Bearer [token]")) == "Bearer [token]"

    def test_a_class_that_cannot_be_made_from_a_text_becomes_a_runtime_error(self):
        copy = portable(TwoArgumentsError("a", "b"))

        assert (type(copy), str(copy)) == (RuntimeError, "TwoArgumentsError: ('a', 'b')")

    def test_an_error_of_this_library_stays_itself(self):
        error = ConfigurationError("no token")

        assert portable(error) is error
        assert portable(None) is None


class TestPicklable:
    def test_an_error_that_pickle_knows_stays_itself(self):
        error = ValueError("bad")

        assert picklable(error) is error

    def test_a_class_of_a_function_becomes_a_runtime_error(self):
        class LocalError(Exception):
            pass

        copy = picklable(LocalError("odd"))

        assert type(copy) is RuntimeError
        assert str(copy).endswith("LocalError: odd")

    def test_what_a_class_raises_while_it_is_pickled_is_no_trouble(self):
        class SpitefulError(Exception):
            def __reduce__(self):
                raise KeyError("no")

        assert type(picklable(SpitefulError("odd"))) is RuntimeError


class TestBase:
    @pytest.mark.parametrize("cause", [None, ValueError("why"), VPSError("inner", request_summary="GET /servers/")])
    def test_it_comes_back_from_a_pickle_whole(self, cause):
        error = VPSError("it went wrong", request_summary="POST /servers/")
        error.__cause__ = cause

        back = pickle.loads(pickle.dumps(error))

        assert (type(back), str(back), back.request_summary) == (VPSError, "it went wrong", "POST /servers/")
        assert (type(back.__cause__), str(back.__cause__)) == (type(cause), str(cause))
