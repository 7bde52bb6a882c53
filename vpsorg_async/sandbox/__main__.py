"""Run `python -m vpsorg_async.sandbox`: serve the sandbox until it is interrupted."""

from __future__ import annotations

import argparse
import contextlib
import math
import shlex
import signal
import sys
import time

from pathlib import Path
from typing import TYPE_CHECKING

from .._extras import missing
from .._version import __version__
from ._api.latency import checked_latency


if TYPE_CHECKING:
    from collections.abc import Sequence


_LIKE_A_REAL_TOKEN = 20
"""So many characters have the tokens that the vendor gives, or more (assumed)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how to reach the sandbox, serve until SIGINT or SIGTERM, and return the exit status."""
    options = _parser().parse_args(arguments)
    if (refusal := missing("sandbox")) is not None:
        print(refusal, file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        # A background process of a shell ignores SIGINT without this.
        signal.signal(number, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            _serve(options)
    except (OSError, OverflowError, ValueError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(options: argparse.Namespace) -> None:
    # Of the extra, which `--help` and `--version` do without.
    from ._sandbox import Sandbox  # noqa: PLC0415 - as said above
    from .faults._toml import read_faults  # noqa: PLC0415 - as said above

    sandbox = Sandbox(
        token=options.token,
        servers=options.servers,
        credits=options.credits,
        seed=options.seed,
        state=options.state,
        quota=options.quota,
        latency=options.latency,
    )
    # In this order, because a read-only token may be one that has an account already.
    for token in options.account:
        sandbox.add_account(token, credits=options.credits, quota=options.quota)
    for token in options.read_only:
        sandbox.add_account(token, read_only=True)
    if options.faults is not None:
        sandbox.faults.add(*read_faults(options.faults))
    with sandbox.serve(options.port, host=options.host, speed=options.speed) as base_url:
        print(f"{base_url}\n{exports(base_url, options.token)}", flush=True)
        while True:
            time.sleep(3600)


def exports(base_url: str, token: str) -> str:
    """Return the two lines that a shell executes to point a program at the sandbox.

    A long token may be a real one that somebody uses here too: output may be kept in a log, so it is not shown.
    """
    shown = shlex.quote(token) if len(token) < _LIKE_A_REAL_TOKEN else "…  # the token that you gave with --token"
    return f"export VPS_API_URL={shlex.quote(base_url)}\nexport VPS_API_TOKEN={shown}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vpsorg_async.sandbox",
        description="Serve the VPS.org servers API offline, and print its base URL and the two "
        "export lines that point a program at it. Stop it with Ctrl-C.",
    )
    parser.add_argument("--version", action="version", version=f"vpsorg-async {__version__}")
    _add_server_options(parser.add_argument_group("server"))
    _add_account_options(parser.add_argument_group("accounts"))
    _add_behaviour_options(parser.add_argument_group("behaviour"))
    return parser


def _add_server_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    group.add_argument(
        "--port", type=_number, default=8800, help="the port to listen on; 0 chooses a free port (default: %(default)s)"
    )
    group.add_argument(
        "--speed", type=_speed, default=1.0, help="how many times faster than real time its time passes (default: 1)"
    )


def _add_account_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--token", default="vps_sandbox", help="the token of the first account (default: %(default)s)")
    group.add_argument(
        "--account",
        metavar="TOKEN",
        action="append",
        default=[],
        help="add an empty account with this token; may be repeated",
    )
    group.add_argument(
        "--read-only",
        metavar="TOKEN",
        action="append",
        default=[],
        help="refuse changes by this token with 403: a token from above, or a second one for the first account; "
        "may be repeated",
    )
    group.add_argument(
        "--servers",
        type=_number,
        default=0,
        help="how many servers the first account has at the start (default: 0)",
    )
    group.add_argument("--credits", type=_number, help="how many servers each account may create (default: no limit)")
    group.add_argument(
        "--quota", type=_number, help="how many servers each account may have at once (default: no limit)"
    )
    group.add_argument(
        "--state",
        metavar="FILE",
        help="keep the accounts in this file, by their order: give the tokens in the same order again",
    )


def _add_behaviour_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--seed", type=int, default=0, help="the seed of every random choice (default: 0)")
    group.add_argument(
        "--latency",
        metavar="SECONDS",
        type=_latency,
        help="how long each response takes: seconds, or a range to draw from, such as 0.005:0.05 (default: 0)",
    )
    group.add_argument(
        "--faults", metavar="FILE", type=Path, help="inject the faults in this TOML file, one [[fault]] table for each"
    )


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a speed: give a finite number above 0")
    return speed


def _latency(text: str) -> tuple[float, float]:
    least, _, most = text.partition(":")
    try:
        return checked_latency((float(least), float(most or least)))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text} is no latency: give seconds such as 0.05, or a range such as 0.005:0.05"
        ) from None


def _number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no whole number") from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative: give 0 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
