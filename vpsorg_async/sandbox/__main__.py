"""Run `python -m vpsorg_async.sandbox`: serve the sandbox until it is interrupted."""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import sys
import time

from pathlib import Path
from typing import TYPE_CHECKING

from ._sandbox import Sandbox
from .faults._toml import read_faults


if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the base URL, serve until SIGINT or SIGTERM, and return the exit status."""
    options = _parser().parse_args(arguments)
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
    sandbox = Sandbox(
        token=options.token,
        servers=options.servers,
        credits=options.credits,
        seed=options.seed,
        state=options.state,
        quota=options.quota,
    )
    # In this order, because a read-only token may be one that has an account already.
    for token in options.account:
        sandbox.add_account(token, credits=options.credits, quota=options.quota)
    for token in options.read_only:
        sandbox.add_account(token, read_only=True)
    if options.faults is not None:
        sandbox.faults.add(*read_faults(options.faults))
    with sandbox.serve(options.port, host=options.host, speed=options.speed) as base_url:
        print(base_url, flush=True)
        while True:
            time.sleep(3600)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vpsorg_async.sandbox",
        description="Serve the VPS.org servers API offline, and print its base URL. Stop it with Ctrl-C.",
    )
    _add_server_options(parser.add_argument_group("server"))
    _add_account_options(parser.add_argument_group("accounts"))
    _add_behaviour_options(parser.add_argument_group("behaviour"))
    return parser


def _add_server_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    group.add_argument(
        "--port", type=int, default=8800, help="the port to listen on; 0 chooses a free port (default: %(default)s)"
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
        "--faults", metavar="FILE", type=Path, help="inject the faults in this TOML file, one [[fault]] table for each"
    )


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a speed: give a finite number above 0")
    return speed


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative: give 0 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
