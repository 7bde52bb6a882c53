"""What is tried for `docs/reliability.md`: each fault on each operation, and what may come of one try. No I/O."""

from __future__ import annotations

import random

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from vpsorg_async.sandbox._account import FIRST_ID
from vpsorg_async.sandbox.faults import Fault


TRY_SECONDS = 1.0
"""How long one try of a call may take: a tenth of this library's default."""

CALL_SECONDS = 4.0
"""How long a call may take with all its tries: a little more than a tenth."""

WAIT_SECONDS = 10.0
"""How long a wait may take."""

MARGIN_SECONDS = 4.0
"""A call that has not ended so long after its time is given up, and counts as hung: generous, for busy machines."""


@attrs.frozen
class Trouble:
    """What goes wrong with one try.

    Attributes:
        faults: the sandbox's.
        gateway: a status that a gateway answers, once, after the API has carried the request out.
    """

    faults: tuple[Fault, ...] = ()
    gateway: int | None = None


@attrs.frozen(kw_only=True)
class Operation:
    """What a caller asks for.

    Attributes:
        rule: which requests faults strike.
        answer: how many bytes the answer to one has, with its head; at least so many, and not many more.
        changes: whether it asks the API to do something, which can be done twice or be unknown.
        servers: how many servers the account has besides one for each try.
        stopped: whether every second of those is stopped when it begins.
        seconds: how long it may take.
        speed: how many seconds of the API pass in one.
    """

    rule: Mapping[str, Any]
    answer: int = 0
    changes: bool = True
    servers: int = 0
    stopped: bool = False
    seconds: float = CALL_SECONDS
    speed: float = 1.0


# The speeds make 1 to 3 s of the 20 to 60 s that a reboot takes, and 2 to 5 s of the 120 to 300 s of a create.
OPERATIONS: dict[str, Operation] = {
    "create": Operation(rule={"method": "POST", "path": "^/servers/$"}, answer=540),
    "reboot": Operation(rule={"method": "POST", "path": "/reboot/$"}, answer=270),
    "start or stop": Operation(rule={"method": "POST", "path": "/(start|stop)/$"}, answer=270, stopped=True),
    "delete": Operation(rule={"method": "DELETE"}, answer=110),
    "list": Operation(rule={"method": "GET"}, answer=32_000, changes=False, servers=250),
    "reboot, wait": Operation(rule={"method": "GET"}, changes=False, seconds=WAIT_SECONDS, speed=20.0),
    "create, wait": Operation(rule={"method": "GET"}, changes=False, seconds=WAIT_SECONDS, speed=60.0),
}
"""In the order of the table."""

Make = Callable[[random.Random, Operation], Trouble]


@attrs.frozen(kw_only=True)
class Trial:
    """A fault on an operation.

    Attributes:
        operation: a key of `OPERATIONS`.
        fault: in words.
        make: gives the trouble of one try; what is up to chance, by the generator given.
        answers_again: whether the API answers again within the call's time, so that what happened can be found out.
        limit: for a fault that this library is known not to see through: why. Not in the main table.
    """

    operation: str
    fault: str
    make: Make
    answers_again: bool = True
    limit: str = ""

    @property
    def asked(self) -> Operation:
        """The operation itself."""
        return OPERATIONS[self.operation]

    @property
    def long(self) -> bool:
        """Whether some clients hang, or take all of their time."""
        return self.fault in _LONG or self.asked.seconds > CALL_SECONDS

    @property
    def quiet(self) -> bool:
        """Whether nothing goes wrong: what everybody must do well, or the comparison is not fair."""
        return self.fault == _QUIET

    def trouble(self, chance: random.Random) -> Trouble:
        """Return what goes wrong with one try."""
        return self.make(chance, self.asked)


def nothing(_chance: random.Random, _asked: Operation) -> Trouble:
    """Let nothing go wrong."""
    return Trouble()


def _one(make: Callable[..., Fault], *arguments: Any, **when: Any) -> Make:
    """Return what makes the same fault for every try."""
    return lambda _chance, asked: Trouble((make(*arguments, **{**asked.rule, **when}),))


def _cut(**when: Any) -> Make:
    return lambda chance, asked: Trouble((Fault.cut(chance.randrange(asked.answer), **asked.rule, **when),))


def _broken(**when: Any) -> Make:
    return lambda chance, asked: Trouble((Fault.status(chance.choice(_CODES), **asked.rule, **when),))


def _lost_and(later: Fault, **when: Any) -> Make:
    """Return what ends the connection after the request is carried out, and strikes *later* requests as well."""
    return lambda _chance, asked: Trouble((Fault.drop(after_commit=True, **asked.rule, **when), later))


_CODES = (500, 502, 503, 504)
_ONCE = {"times": 1}
_SECOND = {"every": 2, "times": 1}
_LATER = {"method": "GET", "path": "^/servers/"}
_RETRY_AFTER = {"Retry-After": 1}
_QUIET = "nothing"
_DRIPS = "the answer comes at 5 bytes a second"
_LOOPS = "`next` leads from the last page to the first; a page takes 0.2 s"
_LONG = (_DRIPS, _LOOPS)

ON_COMMANDS: dict[str, Make] = {
    _QUIET: nothing,
    "the connection ends, not carried out": _one(Fault.drop, **_ONCE),
    "carried out, then the connection ends": _one(Fault.drop, after_commit=True, **_ONCE),
    "carried out, then the connection ends, twice": _one(Fault.drop, after_commit=True, times=2),
    "the response is cut at a random byte": _cut(**_ONCE),
    "carried out, never answered": _one(Fault.hang, **_ONCE),
    "answered after the try's time": _one(Fault.delay, 2 * TRY_SECONDS, **_ONCE),
    _DRIPS: _one(Fault.drip, 5, **_ONCE),
    "500, 502, 503 or 504, not carried out": _broken(**_ONCE),
    "carried out, then 500 or 502 of a gateway": lambda chance, _asked: Trouble(gateway=chance.choice((500, 502))),
    "429 with `Retry-After`": _one(Fault.status, 429, None, _RETRY_AFTER, **_ONCE),
    "503 with `Retry-After`": _one(Fault.status, 503, None, _RETRY_AFTER, **_ONCE),
    "HTML in place of the answer": _one(Fault.html, **_ONCE),
}
"""What strikes the request that asks for the command."""

ON_LISTS: dict[str, Make] = {
    _QUIET: nothing,
    "the connection ends, twice": _one(Fault.drop, times=2),
    "a page is cut at a random byte": _cut(**_SECOND),
    "a page is never answered": _one(Fault.hang, **_SECOND),
    _DRIPS: _one(Fault.drip, 5, **_SECOND),
    "500, 502, 503 or 504, twice": _broken(times=2),
    "429 with `Retry-After`": _one(Fault.status, 429, None, _RETRY_AFTER, **_ONCE),
    "HTML in place of a page": _one(Fault.html, **_SECOND),
    "a page lacks three of its servers": _one(Fault.omit, 3, **_SECOND),
    _LOOPS: lambda _chance, asked: Trouble((Fault.loop(**asked.rule), Fault.delay(0.2, **asked.rule))),
}

ON_LOOKS: dict[str, Make] = {
    _QUIET: nothing,
    "reads are 10 s old": _one(Fault.stale, 10),
    "every second look gets 500": _one(Fault.status, 500, every=2),
    "every second look loses its connection": _one(Fault.drop, every=2),
    "every third look is never answered": _one(Fault.hang, every=3),
    "every second look gets HTML": _one(Fault.html, every=2),
    "five looks show an undocumented status": _one(Fault.as_status, "migrating", times=5),
}
"""What strikes the looks of a wait; the seconds are the API's."""

ON_CREATED: dict[str, Make] = {
    _QUIET: nothing,
    "reads are 10 s old": _one(Fault.stale, 10),
    "provisioning ends in `stopped`": _one(Fault.end_in, "stopped", method="POST"),
}


def _of(operation: str, faults: Mapping[str, Make]) -> list[Trial]:
    return [Trial(operation=operation, fault=fault, make=make) for fault, make in faults.items()]


def _unseen(operation: str) -> list[Trial]:
    """Return the trials in which looking what became of it fails as well."""
    return [
        Trial(
            operation=operation,
            fault="carried out, the connection ends, the next two looks get 503",
            make=_lost_and(Fault.status(503, times=2, **_LATER), **_ONCE),
        ),
        Trial(
            operation=operation,
            fault="carried out, then never an answer again",
            make=_lost_and(Fault.drop(**_LATER)),
            answers_again=False,
        ),
    ]


TRIALS: tuple[Trial, ...] = (
    *_of("create", ON_COMMANDS),
    *_unseen("create"),
    *_of("reboot", ON_COMMANDS),
    *_unseen("reboot"),
    *_of("start or stop", ON_COMMANDS),
    *_of("delete", ON_COMMANDS),
    *_of("list", ON_LISTS),
    *_of("reboot, wait", ON_LOOKS),
    *_of("create, wait", ON_CREATED),
    Trial(
        operation="reboot, wait",
        fault="reads are 40 s old",
        make=_one(Fault.stale, 40),
        limit="older than `PollPolicy.grace`, 15 s, after which `active` counts; raise it where replicas lag more",
    ),
    Trial(
        operation="list",
        fault="one server is missing from every observation",
        make=_one(Fault.omit, 1, server_id=FIRST_ID),
        limit="observations that agree are believed, whatever their `count` says",
    ),
)


How = Literal["done", "error", "unknown", "nothing"]
Verdict = Literal["done", "failed", "unknown", "lost", "doubled", "wrong", "hung"]


@attrs.frozen
class Truth:
    """What the API did, from its own account.

    Attributes:
        commits: how many of the requests to do it were carried out; 0 for what changes nothing.
        value: what an answer "done" has to tell: the server made, all servers, that it has got there, or that it was
            carried out.
    """

    commits: int
    value: object


@attrs.frozen
class Told:
    """What the caller was told: done, an error, that it is not known, or nothing before he gave up waiting."""

    how: How
    value: object = None


def classify(truth: Truth, told: Told) -> Verdict:
    """Return what came of one try: the worst that holds.

    `failed` is an error that is true: it was not carried out, the list was not read, the wait did not end well.
    """
    if truth.commits > 1:
        return "doubled"
    if told.how == "nothing":
        return "hung"
    if told.how == "done":
        if told.value == truth.value:
            return "done"
        return "lost" if truth.commits else "wrong"
    if told.how == "unknown":
        return "unknown"
    return "lost" if truth.commits else "failed"
