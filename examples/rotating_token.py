"""Pass a function that returns the token, and print the retries and pauses.

The client calls the function before each attempt. It may be plain or async. Here it reads a file that another program
may renew. VPS_API_TOKEN must be set.
"""

from __future__ import annotations

import asyncio
import os
import tempfile

from pathlib import Path

from vpsorg_async import Client, Event, RetryPolicy


def listen(event: Event) -> None:
    if event.name.startswith("call."):
        print(event.name, dict(event.fields))


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "token"
        path.write_text(os.environ["VPS_API_TOKEN"], encoding="ascii")

        async def token() -> str:
            return await asyncio.to_thread(path.read_text, encoding="ascii")

        async with Client(token, timeout=20, retry=RetryPolicy(attempts=6), on_event=listen) as client:
            servers = await client.servers.list()
            print(len(servers), "servers:", ", ".join(server.name for server in servers))


asyncio.run(main())
