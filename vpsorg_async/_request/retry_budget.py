"""Holds the retries that all calls of a client share, so that an API that is down gets no storm of them."""

from __future__ import annotations

from collections import deque

import anyio


CAPACITY = 10.0
"""How many retries a client may make that have brought nothing yet."""


class RetryBudget:
    """Retries cost 1 each, from a bucket of 10; calls that succeed fill it again.

    When the bucket is empty and retries of other calls are under way, whether the API works again is about to be
    known: a call then waits for that, and fails only when all of them have. So 1,000 calls that each fail once and then
    work all succeed, and on an API that is down no more than 10 retries are made.
    """

    def __init__(self) -> None:
        self._level = CAPACITY
        # Retries acquired and not yet released. Invariant: each is released by the task that acquired it, also by one
        # that is cancelled.
        self._under_way = 0
        self._waiting: deque[anyio.Event] = deque()

    @property
    def level(self) -> float:
        """How many retries may be made now."""
        return self._level

    async def acquire(self) -> bool:
        """Return whether a retry may be made; if so, `release` must be called when it has ended.

        Cancellation: nothing is acquired; the place in the queue is given up.
        """
        while self._level < 1:
            if not self._under_way:
                return False
            turn = anyio.Event()
            self._waiting.append(turn)
            try:
                await turn.wait()
            except BaseException:
                if turn.is_set():
                    self._wake()
                else:
                    self._waiting.remove(turn)
                raise
        self._level -= 1
        self._under_way += 1
        return True

    def release(self, *, succeeded: bool) -> None:
        """Say how a retry that was acquired has ended."""
        self._under_way -= 1
        if succeeded:
            self._level = min(CAPACITY, self._level + 1)
        self._wake()

    def succeeded_at_once(self, refund: float) -> None:
        """Put back what a call that needed no retry is worth."""
        self._level = min(CAPACITY, self._level + refund)
        if self._waiting:
            self._wake()

    def _wake(self) -> None:
        if not self._under_way:
            # Nobody is left whose success could fill the bucket: let all see for themselves.
            while self._waiting:
                self._waiting.popleft().set()
        elif self._waiting and self._level >= 1:
            self._waiting.popleft().set()
