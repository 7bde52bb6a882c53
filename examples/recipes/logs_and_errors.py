"""Log what the client does with structlog, and report errors to Sentry, without secrets.

The example reboots a server and logs each event as a line of JSON. Sentry gets errors that nobody caught, and the
events before them as breadcrumbs. VPS_API_TOKEN must be set. Without SENTRY_DSN, nothing is sent to Sentry:

    python examples/recipes/logs_and_errors.py 12345
"""

from __future__ import annotations

import asyncio
import logging
import sys

import sentry_sdk
import structlog

from vpsorg_async import Client, Event


def set_up() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ]
    )
    # Sentry makes breadcrumbs of what is logged as INFO and above; most events are DEBUG.
    logging.getLogger("vpsorg_async").setLevel(logging.INFO)
    # Local variables of every function on the way to an error would be sent too, and one of them may be your token.
    sentry_sdk.init(include_local_variables=False)


def listen(event: Event) -> None:
    # Fields never hold a token, a query or the body of a request.
    structlog.get_logger().info(event.name, **event.fields)
    if event.name == "call.ended":
        sentry_sdk.add_breadcrumb(category="vpsorg_async", message=event.name, data=dict(event.fields))


async def main(server_id: str) -> None:
    async with Client(on_event=listen) as client:
        action = await client.servers.reboot(server_id)
        await action.wait()


if __name__ == "__main__":
    set_up()
    asyncio.run(main(sys.argv[1]))
