"""Serve the dashboard on http://127.0.0.1:8000, by default with a sandbox in the place of the API.

    python -m examples.dashboard              # on a sandbox with 24 servers, five times as fast as the API
    python -m examples.dashboard --live       # on your servers: set VPS_API_TOKEN

The dashboard has no login. It listens on this computer only.
"""

from __future__ import annotations

import argparse
import contextlib

import uvicorn

from fastapi import FastAPI

from vpsorg_async.sandbox import Sandbox

from .app import make_app


def serve(app: FastAPI, port: int) -> None:
    print(f"The dashboard is on http://127.0.0.1:{port}", flush=True)
    # Stopping does not wait longer for a browser that reads nothing any more.
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.dashboard", description="Serve a dashboard of servers.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--live", action="store_true", help="use the real API, with the token from VPS_API_TOKEN")
    parser.add_argument("--servers", type=int, default=24, help="how many servers the sandbox has at first")
    parser.add_argument("--speed", type=float, default=5.0, help="how much faster than the API the sandbox is")
    options = parser.parse_args()
    if options.live:
        serve(make_app(), options.port)
    else:
        with Sandbox(servers=options.servers).serve(speed=options.speed) as url:
            serve(make_app(token="vps_sandbox", base_url=url), options.port)  # noqa: S106 - the sandbox's own


with contextlib.suppress(KeyboardInterrupt):
    main()
