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

from ._faultsfile import read_faults
from ._sandbox import Sandbox


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
    )
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
    parser.add_argument("--token", default="vps_sandbox", help="the API token it takes (default: %(default)s)")
    parser.add_argument("--servers", type=_number, default=0, help="how many are there at first (default: 0)")
    parser.add_argument("--credits", type=_number, help="how many may be created (default: no end)")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    parser.add_argument("--state", metavar="FILE", help="keep the account in this file")
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
