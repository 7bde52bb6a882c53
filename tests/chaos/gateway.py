"""An ASGI app in front of the sandbox, which does what gateways, queues and clocks of real APIs do."""

from __future__ import annotations

import asyncio
import json
import time

from datetime import datetime, timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from tests.chaos.trials import Trouble


class Gateway:
    """Passes requests on to another app, with the trouble of the present run.

    Attributes:
        applied: whether the trouble has changed a response.
    """

    def __init__(self, app: Any, speed: float) -> None:
        self._app = app
        self._speed = speed
        self._trouble = Trouble()
        self._outage_ends: float | None = None
        self._queued: set[asyncio.Task[None]] = set()
        self.applied = False

    def begin(self, trouble: Trouble) -> None:
        """Begin a run with *trouble*."""
        self._trouble, self._outage_ends, self.applied = trouble, None, False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        trouble = self._trouble
        if scope["method"] == "GET":
            return await self._read(trouble, scope, receive, send)
        if trouble.gateway is not None and not self.applied:
            return await self._fail_after_execution(trouble.gateway, scope, receive, send)
        if trouble.queue and scope["path"].endswith("/reboot/"):
            return await self._queue(trouble.queue, scope, receive, send)
        return await self._app(scope, receive, send)

    async def _fail_after_execution(self, status: int, scope: Any, receive: Any, send: Any) -> None:
        self.applied = True
        await self._app(scope, receive, _nowhere)
        await Response(f"<h1>{status}</h1>", status, media_type="text/html")(scope, receive, send)

    async def _queue(self, seconds: float, scope: Any, receive: Any, send: Any) -> None:
        """Accept a reboot now, and execute it later."""
        self.applied = True
        # Read to its end, which is empty: a server takes what comes after the response for the end of the connection.
        while (await receive()).get("more_body"):
            pass

        async def execute() -> None:
            await asyncio.sleep(seconds / self._speed)

            async def again() -> Any:
                return {"type": "http.request", "body": b"", "more_body": False}

            await self._app(scope, again, _nowhere)

        task = asyncio.create_task(execute())
        self._queued.add(task)
        task.add_done_callback(self._queued.discard)
        server = {"id": int(scope["path"].split("/")[-3]), "name": "web", "status": "active"}
        body = {"status": "success", "message": "The reboot is queued.", "server": server}
        await JSONResponse(body)(scope, receive, send)

    async def _read(self, trouble: Trouble, scope: Any, receive: Any, send: Any) -> None:
        if trouble.outage:
            self._outage_ends = self._outage_ends or time.monotonic() + trouble.outage
            if time.monotonic() < self._outage_ends:
                self.applied = True
                return await Response("<h1>502</h1>", 502, media_type="text/html")(scope, receive, send)
        if not trouble.fast_clock:
            return await self._app(scope, receive, send)
        messages: list[Any] = []

        async def keep(message: Any) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in messages[1:])
        shown = json.loads(body)
        for server in shown.get("results", [shown]):
            if server.get("status") in ("rebooting", "provisioning"):
                self.applied = True
                later = datetime.fromisoformat(server["updated_at"]) + timedelta(seconds=trouble.fast_clock)
                server["updated_at"] = later.isoformat().replace("+00:00", "Z")
        return await JSONResponse(shown, messages[0]["status"])(scope, receive, send)


async def _nowhere(_message: Any) -> None: ...
