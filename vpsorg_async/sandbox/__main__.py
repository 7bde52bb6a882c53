"""`python -m vpsorg_async.sandbox`: serve the sandbox until it is interrupted; prints its base URL."""

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
    """Serve until SIGINT or SIGTERM; return the exit status."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        # In a shell's background SIGINT is ignored unless this asks for it.
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
    # In this order, as a read-only token may be one that opens an account already.
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
        prog="python -m vpsorg_async.sandbox", description="VPS.org's servers API, offline."
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8800, help="0 is one that is free (default: %(default)s)")
    parser.add_argument("--speed", type=_speed, default=1.0, help="seconds of the sandbox in a real one (default: 1)")
    parser.add_argument("--token", default="vps_sandbox", help="opens the first account (default: %(default)s)")
    parser.add_argument(
        "--account", metavar="TOKEN", action="append", default=[], help="opens one more, empty; may be given again"
    )
    parser.add_argument(
        "--read-only",
        metavar="TOKEN",
        action="append",
        default=[],
        help="is answered 403 to changes: a token from above, or another for the first account; may be given again",
    )
    parser.add_argument("--servers", type=_number, default=0, help="the first account's at first (default: 0)")
    parser.add_argument("--credits", type=_number, help="how many each account may create (default: no end)")
    parser.add_argument("--quota", type=_number, help="how many each account may have at once (default: no end)")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    parser.add_argument(
        "--state", metavar="FILE", help="keep the accounts in this file, by their order: give them in the same again"
    )
    parser.add_argument("--faults", metavar="FILE", type=Path, help="what goes wrong: TOML, a table [[fault]] for each")
    return parser


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError("a speed is a number above 0")
    return speed


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("a number of at least 0 is wanted")
    return number


if __name__ == "__main__":
    sys.exit(main())
