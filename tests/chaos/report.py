"""What the results of the trials add up to: problems, tables, and the text of `docs/reliability.md`. Pure."""

from __future__ import annotations

import collections

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import attrs

from tests.chaos.trials import (
    CALL_SECONDS,
    MARGIN_SECONDS,
    OPERATIONS,
    TRY_SECONDS,
    WAIT_SECONDS,
    Trial,
    Verdict,
)


Key = TypeVar("Key")

OURS = "vpsorg_async"
MOST_UNKNOWN = 0.05
"""Of the commits after which the API answers again within the time left, so many may be unknown."""

FORBIDDEN = ("lost", "doubled", "wrong", "hung")
COLUMNS = ("done", "failed", *FORBIDDEN, "leaked", "unknown")


@attrs.frozen(kw_only=True)
class Result:
    """What came of one try.

    Attributes:
        trial: what was tried.
        contender: on whom.
        verdict: what came of it.
        committed: whether the API carried it out.
        struck: whether anything went wrong with it.
        leaked: tasks and sockets left, when the client of this try and those after it was closed.
        note: the error that the caller got.
    """

    trial: Trial
    contender: str
    verdict: Verdict
    committed: bool = False
    struck: bool = True
    leaked: int = 0
    note: str = ""


def problems(results: Iterable[Result]) -> list[str]:
    """Return what must not be in the main table, a line each; empty: all is well.

    That is what this library must never do. It is also what would make the table worth nothing: a fault that struck
    nobody, and a client that fails where nothing goes wrong, so that it must have been used wrongly.
    """
    results = list(results)
    found = [
        f"{result.verdict}: {_name(result.trial)}, by {result.contender}: {result.note or 'no error'}"
        for result in results
        if result.trial.quiet and result.verdict != "done"
    ]
    found += [
        f"never struck: {_name(result.trial)}, by {result.contender}"
        for result in results
        if not (result.struck or result.trial.quiet)
    ]
    ours = [result for result in results if result.contender == OURS and not result.trial.limit]
    found += [
        f"{result.verdict}: {_name(result.trial)}: {result.note or 'no error'}"
        for result in ours
        if result.verdict in FORBIDDEN
    ]
    found += [f"leaked {result.leaked}: {_name(result.trial)}" for result in ours if result.leaked]
    unknown, commits = unknown_of_commits(ours)
    if unknown > MOST_UNKNOWN * commits:
        found.append(f"{unknown} of {commits} commits are unknown, more than {MOST_UNKNOWN:.0%}")
    return found


def unknown_of_commits(results: Iterable[Result]) -> tuple[int, int]:
    """Return how many commits are unknown, and how many there were, where the API answers again in time.

    Those where nothing went wrong would only make the share smaller.
    """
    commits = [result for result in results if _may_be_known(result)]
    return sum(result.verdict == "unknown" for result in commits), len(commits)


def _may_be_known(result: Result) -> bool:
    return result.committed and result.trial.answers_again and not result.trial.quiet


def counts(results: Iterable[Result]) -> collections.Counter[str]:
    """Return how often each verdict was given, and what leaked."""
    counted = collections.Counter[str](result.verdict for result in results)
    counted["leaked"] = sum(result.leaked for result in results)
    return counted


def totals(results: Sequence[Result]) -> str:
    """Return a row for each contender, over all of *results*."""
    lines = [_row("", "tries", *COLUMNS, "of the commits, unknown"), _rule(2 + len(COLUMNS) + 1)]
    for contender, theirs in _by(results, lambda result: result.contender).items():
        counted = counts(theirs)
        unknown, commits = unknown_of_commits(theirs)
        share = f"{unknown} of {commits}, {unknown / commits:.1%}" if commits else "none"
        lines.append(_row(f"`{contender}`", len(theirs), *(counted[name] for name in COLUMNS), share))
    return "\n".join(lines)


def table(results: Sequence[Result]) -> str:
    """Return a row for each trial: this library's figures, and in words what the others came to."""
    others = [name for name in _by(results, lambda result: result.contender) if name != OURS]
    lines = [
        _row("operation", "fault", "tries", *COLUMNS, *(f"`{name}`" for name in others)),
        _rule(3 + len(COLUMNS) + len(others)),
    ]
    for trial, tried in _by(results, lambda result: (result.trial.operation, result.trial.fault)).items():
        by_name = _by(tried, lambda result: result.contender)
        ours = by_name.get(OURS, [])
        counted = counts(ours)
        words = (in_words(counts(by_name.get(name, []))) for name in others)
        lines.append(_row(*trial, len(ours), *(counted[column] for column in COLUMNS), *words))
    return "\n".join(lines)


def in_words(counted: Mapping[str, int]) -> str:
    """Return what is not zero of *counted*: `all done`, or `7 doubled, 3 lost`."""
    there = {name: counted[name] for name in COLUMNS if counted.get(name)}
    if list(there) == ["done"]:
        return "all done"
    return ", ".join(f"{number} {name}" for name, number in there.items()) or "not tried"


def split(results: Iterable[Result]) -> tuple[list[Result], list[Result]]:
    """Return those of the main table, and those of the known limits."""
    main, limits = [], []
    for result in results:
        (limits if result.trial.limit else main).append(result)
    return main, limits


def document(results: Sequence[Result], *, tries: int, seed: int, versions: str, date: str, seconds: float) -> str:
    """Return the text of `docs/reliability.md`."""
    main, limits = split(results)
    ours = [result for result in main if result.contender == OURS]
    rows = _by(main, lambda result: result.trial)
    unknown, commits = unknown_of_commits(ours)
    not_done = [result for result in ours if result.verdict == "unknown" and not result.committed]
    where = sorted({_name(result.trial) for result in ours if result.verdict == "unknown" and _may_be_known(result)})
    return _DOCUMENT.format(
        rows=len(rows),
        tries=tries,
        seed=seed,
        versions=versions,
        date=date,
        seconds=round(seconds),
        try_seconds=f"{TRY_SECONDS:g}",
        call_seconds=f"{CALL_SECONDS:g}",
        wait_seconds=f"{WAIT_SECONDS:g}",
        most=MOST_UNKNOWN,
        speed=max(operation.speed for operation in OPERATIONS.values()),
        margin_seconds=f"{MARGIN_SECONDS:g}",
        changing=", ".join(name for name, operation in OPERATIONS.items() if operation.changes),
        totals=totals(main),
        table=table(main),
        unknown=unknown,
        commits=commits,
        where="; ".join(where) or "none",
        not_done=len(not_done),
        limits=table(limits),
        reasons="\n".join(f"- {_name(trial)}: {trial.limit}." for trial in _by(limits, lambda result: result.trial)),
    )


def _name(trial: Trial) -> str:
    return f"{trial.operation}: {trial.fault}"


def _by(results: Iterable[Result], key: Callable[[Result], Key]) -> dict[Key, list[Result]]:
    """Return *results* in groups by *key*, in the order in which the keys come."""
    groups: dict[Key, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns


_DOCUMENT = """\
# What faults do to it

{rows} trials, an operation and a fault each, were made {tries} times on this library, on httpx with tenacity, and on a published SDK. `python -m tests.chaos.table --write`
wrote this page from what that run saw, and `python -m tests.chaos.table` does it again: the same seed cuts at the same bytes and draws the same codes, for all three.
(Seed {seed}; {seconds} s; {date}; {versions}.)

Every try goes through loopback sockets to the sandbox, which keeps its own account of what it carried out; what the caller was told is compared with that. CI does it with
two tries each, and fails when this library has anything but zero under *lost*, *doubled*, *wrong*, *hung* or *leaked*, or leaves more than {most:.0%} of the commits
unknown; also when a fault struck nobody, or one of the three fails where nothing goes wrong.

{totals}

## Fault by fault

The figures are this library's. The last two columns say what came of the same faults on the others.

{table}

One try has one verdict, the first of these that holds:

- **doubled**: the API carried out more than one request for one ask.
- **hung**: the call had not ended {margin_seconds} s after its time, and was cancelled.
- **lost**: the API carried it out, and the caller was told that it was refused, or was given another server. So is a 400 or 404 that a client's own second try brings on it:
  the server reboots, or is gone, and the program hears that it cannot be.
- **wrong**: a wait that ended while the server was not there yet; a list that lacked or repeated servers and did not say so.
- **unknown**: the caller was told that it may or may not have been carried out. For all three that is an error without an answer, a 5xx, or an answer that cannot be read;
  this library has `OutcomeUnknownError` for it besides. Only what changes something can be unknown: {changing}.
- **failed**: an error that is true: it was not carried out, not listed, not reached.
- **done**: it was carried out once, and the caller was told so.

**leaked** counts tasks and sockets that are still there a second after the client was closed. *Of the commits, unknown* is about the tries that struck something which the API
carried out, and after which it answers again within the call's time.

## The others

- **httpx with tenacity**: an `httpx.AsyncClient`, and around `request` and `raise_for_status` a
  `@retry(stop=stop_after_attempt(4), wait=wait_exponential(), retry=retry_if_exception_type(httpx.HTTPError))`, as it is found in many programs. Who lets it retry only what
  is safe to repeat has nothing doubled, and most of these faults as errors that leave him to look for himself.
- **openai**: `AsyncOpenAI(base_url=…)` and its `get`, `post` and `delete`, which its README gives for undocumented endpoints, with its default of two retries, whatever the
  method. It stands for the many SDKs that are generated with the same core. At an API that knows idempotency keys its retries are safe; VPS.org documents none.

Both follow `next` in a loop, and wait in a loop of GET and sleep with a deadline. `tests/chaos/peers.py` is all of it. They hang at a slow answer because their timeout is for
each piece of it, and at pages that never end because the loop does not; an `asyncio.timeout` around it ends both.

`hcloud` would have been the other choice. It waits for actions by their ids, and relies on an API that keeps names unique; VPS.org has neither. A translation in front of
the sandbox would have had to make both up, and the table would have shown the translation.

Times are about a tenth of this library's defaults, for all three where they can be set: {try_seconds} s for a try, {call_seconds} s for a call, and tenacity's pauses as ours; {wait_seconds} s for a wait.
The openai package's pauses are its own. In waits the sandbox's time is faster, up to {speed:g} times, and everybody's looks with it.

## Where it is weaker

Sending again blindly has its good side: where the first try was *not* carried out, the others simply succeed. Here a create or reboot that got no answer is not sent again:
{not_done} such tries, of things that the API had not carried out, took all of their time and ended in `OutcomeUnknownError`.

{unknown} of {commits} commits stayed unknown although the API answered again ({where}). The answer to them was a success in HTML, for which a start, stop or delete raises `ResponseError`
and does not look further. How large that share is depends on which faults are tried.

Two faults it does not see through, tried in the same run:

{limits}

{reasons}

Not tried here: a server that *another* program makes from the same name, plan, system and location, in the seconds in which a lost create is looked for, cannot be told from
one's own, and is returned where the own one was never made. And each client here has one caller, on asyncio: crowds, cancellation and the other event loops are the tests' part.
"""
