"""Turns results of trials into problems, tables and `docs/reliability.md`. Pure."""

from __future__ import annotations

import collections

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import attrs

from tests.chaos.trials import (
    ATTEMPT_SECONDS,
    CALL_SECONDS,
    MARGIN_SECONDS,
    OPERATIONS,
    WAIT_SECONDS,
    Trial,
    Verdict,
)


Key = TypeVar("Key")

OURS = "vpsorg_async"
MOST_UNKNOWN = 0.05
"""The share of commits that may be unknown although the API responds again within the time left."""

FORBIDDEN = ("lost", "doubled", "wrong", "hung")
COLUMNS = ("done", "failed", *FORBIDDEN, "leaked", "unknown")


@attrs.frozen(kw_only=True)
class Result:
    """The result of one run of a trial.

    Attributes:
        trial: the trial.
        contender: the name of the client.
        verdict: the verdict of the run.
        committed: whether the API executed it.
        applied: whether the fault applied to a request.
        leaked: the tasks and sockets that were left when the client of this run and the next ones was closed.
        note: the error that the caller got.
    """

    trial: Trial
    contender: str
    verdict: Verdict
    committed: bool = False
    applied: bool = True
    leaked: int = 0
    note: str = ""


def problems(results: Iterable[Result]) -> list[str]:
    """Return a line for each result that the main table must not have.

    Such a result is one that this library must never have, or one that makes the table worthless: a fault that applied
    to no request, or a client that fails without a fault, which means that the test uses it wrongly.
    """
    results = list(results)
    found = [
        f"{result.verdict}: {_name(result.trial)}, by {result.contender}: {result.note or 'no error'}"
        for result in results
        if result.trial.quiet and result.verdict != "done"
    ]
    found += [
        f"never applied: {_name(result.trial)}, by {result.contender}"
        for result in results
        if not (result.applied or result.trial.quiet)
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
    """Return the numbers of unknown and of all commits, if the API responds again in time.

    Runs without a fault do not count: they would only make the share smaller.
    """
    commits = [result for result in results if _may_be_known(result)]
    return sum(result.verdict == "unknown" for result in commits), len(commits)


def _may_be_known(result: Result) -> bool:
    return result.committed and result.trial.responds_again and not result.trial.quiet


def counts(results: Iterable[Result]) -> collections.Counter[str]:
    """Return how often each verdict was given, and the number of leaks."""
    counted = collections.Counter[str](result.verdict for result in results)
    counted["leaked"] = sum(result.leaked for result in results)
    return counted


def totals(results: Sequence[Result]) -> str:
    """Return a table with a row for each contender, over all of *results*."""
    lines = [_row("", "runs", *COLUMNS, "unknown commits"), _rule(2 + len(COLUMNS) + 1)]
    for contender, theirs in _by(results, lambda result: result.contender).items():
        counted = counts(theirs)
        unknown, commits = unknown_of_commits(theirs)
        share = f"{unknown} of {commits}, {unknown / commits:.1%}" if commits else "none"
        lines.append(_row(f"`{contender}`", len(theirs), *(counted[name] for name in COLUMNS), share))
    return "\n".join(lines)


def table(results: Sequence[Result]) -> str:
    """Return a table of trials: this library's figures, and the others' in words."""
    others = [name for name in _by(results, lambda result: result.contender) if name != OURS]
    lines = [
        _row("operation", "fault", "runs", *COLUMNS, *(f"`{name}`" for name in others)),
        _rule(3 + len(COLUMNS) + len(others)),
    ]
    for trial, of_trial in _by(results, lambda result: (result.trial.operation, result.trial.fault)).items():
        by_name = _by(of_trial, lambda result: result.contender)
        ours = by_name.get(OURS, [])
        counted = counts(ours)
        words = (in_words(counts(by_name.get(name, []))) for name in others)
        lines.append(_row(*trial, len(ours), *(counted[column] for column in COLUMNS), *words))
    return "\n".join(lines)


def in_words(counted: Mapping[str, int]) -> str:
    """Return the figures of *counted* that are not zero: `all done`, or `7 doubled, 3 lost`."""
    there = {name: counted[name] for name in COLUMNS if counted.get(name)}
    if list(there) == ["done"]:
        return "all done"
    return ", ".join(f"{number} {name}" for name, number in there.items()) or "not run"


def split(results: Iterable[Result]) -> tuple[list[Result], list[Result]]:
    """Return the results of the main table and those of the known limits."""
    main, limits = [], []
    for result in results:
        (limits if result.trial.limit else main).append(result)
    return main, limits


def document(results: Sequence[Result], *, runs: int, seed: int, versions: str, date: str, seconds: float) -> str:
    """Return the text of `docs/reliability.md`."""
    main, limits = split(results)
    ours = [result for result in main if result.contender == OURS]
    rows = _by(main, lambda result: result.trial)
    unknown, commits = unknown_of_commits(ours)
    not_done = [result for result in ours if result.verdict == "unknown" and not result.committed]
    where = sorted({_name(result.trial) for result in ours if result.verdict == "unknown" and _may_be_known(result)})
    return _DOCUMENT.format(
        rows=len(rows),
        runs=runs,
        seed=seed,
        versions=versions,
        date=date,
        seconds=round(seconds),
        attempt_seconds=f"{ATTEMPT_SECONDS:g}",
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
# Compare the clients under faults

{rows} trials, an operation and a fault each, ran {runs} times on this library, on httpx with tenacity, and on a published SDK. `python -m tests.chaos.table --write`
wrote this page from that run. `python -m tests.chaos.table` repeats it: the same seed cuts at the same bytes and draws the same status codes for all three clients.
(Seed {seed}; {seconds} s; {date}; {versions}.)

Every request goes through loopback sockets to the sandbox, which records what it executed. That record is compared with the result that the caller got.
CI repeats the trials with four runs of each. It fails if this library has anything but zero under *lost*, *doubled*, *wrong*, *hung* or *leaked*, or leaves more than {most:.0%} of the
commits unknown. It also fails if a fault applied to no request, or if one of the clients fails without a fault.

{totals}

## See each fault

The figures are this library's. The last two columns have the results of the other clients under the same faults.

{table}

Each run has one verdict, the first of these that is true:

- **doubled**: the API executed more than one request for one call.
- **hung**: the call had not ended {margin_seconds} s after its time limit, and was cancelled.
- **lost**: the API executed the request, and the caller got a refusal or another server. A 400 or 404 that the client's own second attempt causes is one of these:
  the server reboots, or is gone, and the program gets an error.
- **wrong**: a wait ended before the server reached its goal, or a list lacked or repeated servers without an error.
- **unknown**: the caller was told that the request may or may not have been executed. For all three clients that is an error without a response, a 5xx, or a response that
  cannot be read. This library also has `OutcomeUnknownError` for it. Only operations that change something can be unknown: {changing}.
- **failed**: a true error: the request was not executed, the list was not read, or the wait did not reach its goal.
- **done**: the request was executed once, and the caller was told so.

**leaked** counts the tasks and sockets that are still there a second after the client was closed. **unknown commits** has the unknown ones among the runs in which a fault
applied to an executed request and the API responded again within the call's time.

## Know the other clients

- **httpx with tenacity**: an `httpx.AsyncClient`, with
  `@retry(stop=stop_after_attempt(4), wait=wait_exponential(), retry=retry_if_exception_type(httpx.HTTPError))` around `request` and `raise_for_status`, as many programs have it.
  A program that retries only safe requests doubles nothing. Most of these faults then become errors, and the program has to find out the outcome itself.
- **openai**: `AsyncOpenAI(base_url=…)` and its `get`, `post` and `delete`, which its README gives for undocumented endpoints. It has its default of two retries for every
  method. It stands for the many SDKs that are generated with the same core. Its retries are safe at an API that knows idempotency keys. VPS.org documents none.

Both follow `next` in a loop, and wait in a loop of GET and sleep with a deadline. `tests/chaos/peers.py` has all of it. They hang at a slow response because their timeout is
for each piece of it, and at endless pages because the loop has no end. An `asyncio.timeout` around the call ends both.

`hcloud` was the other candidate. It waits for actions by their ids, and relies on an API that keeps names unique. VPS.org has neither. A translation in front of the sandbox
would have to invent both, and the table would show the translation.

Times are about a tenth of this library's defaults, for all three clients where they can be set: {attempt_seconds} s for an attempt, {call_seconds} s for a call, {wait_seconds} s for a wait, and the
same pauses for tenacity. The pauses of the openai package are its own. In waits the sandbox's time runs faster, up to {speed:g} times, and so do the polls of all clients.

## Know the weak points

Blind retries have one advantage: if the first attempt was *not* executed, the other clients simply succeed. This library does not send a create or reboot again after a
lost response. {not_done} such runs, in which the API had executed nothing, used all of their time and ended in `OutcomeUnknownError`.

{unknown} of {commits} commits stayed unknown although the API responded again ({where}). Their response was a success in HTML. A start, stop or delete then raises
`ResponseError` and does not check the server. This share depends on the selection of faults.

This library does not handle two faults, which ran in the same run:

{limits}

{reasons}

One case is not in the trials: *another* program creates a server with the same name, plan, system and location while this client looks for its lost create. The two servers
cannot be told apart. If the client's own server was never created, the client returns the other one. And each client here has one caller, on asyncio: the tests cover many
callers, cancellation and the other event loops.
"""
