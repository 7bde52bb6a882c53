"""Warns about objects that do nothing until they are awaited, and that nobody has awaited."""

from __future__ import annotations

import warnings

from typing import NoReturn


class Unawaited:
    """Does nothing until it is awaited, and gives a `RuntimeWarning` if it never is, like a coroutine.

    A subclass calls `_not_yet` at the end of its `__init__`, and `_begin` when its work begins.
    """

    # An object whose arguments were refused has neither: it needs no warning.
    _forgotten = ""
    _advice = ""

    def _not_yet(self, name: str, advice: str) -> None:
        """Note that the work of *name* has not begun. *advice* says how to begin it."""
        self._forgotten = name
        self._advice = advice

    def _begin(self) -> None:
        """Note that the work has begun, or that the caller was told why it cannot."""
        self._forgotten = ""

    def __bool__(self) -> NoReturn:
        """Refuse to be tested for truth.

        Raises:
            TypeError: always. Before it is awaited, the object has no result that could be true or false.
        """
        self._begin()
        raise TypeError(f"a {type(self).__name__} is neither true nor false: {self._advice}, and test the result")

    def __del__(self) -> None:
        if self._forgotten:
            # The source makes the warning say where the object was made, if tracemalloc is on.
            warnings.warn(
                f"{self._forgotten} was never awaited, so nothing was done: {self._advice}",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )
