"""Create a server, print each status, and delete the server in any case.

VPS_API_TOKEN must be set. On a served sandbox, the example costs nothing:

    python -m vpsorg_async.sandbox --port 8800 --speed 60 --token vps_sandbox
    VPS_API_URL=http://127.0.0.1:8800/api/v1 VPS_API_TOKEN=vps_sandbox python examples/create_and_follow.py
"""

from __future__ import annotations

import asyncio

from vpsorg_async import Client, PollPolicy, Server, WaitError


def show(server: Server) -> None:
    print(f"{server.name} is {server.status}", f"at {server.ip_address}" if server.ip_address else "")


async def main() -> None:
    async with Client() as client:
        server = await client.servers.create(name="example-01", plan_id=1, os_id=5, location="us-west")
        try:
            server = await server.wait_until(status="active", poll=PollPolicy(minimum=0.5), on_change=show)
        except WaitError as error:
            print("it is not active:", error)
        finally:
            await server.delete()
            await server.wait_until_deleted()
            print("it is deleted")


asyncio.run(main())
