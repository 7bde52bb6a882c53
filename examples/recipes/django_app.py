"""Use one client in a Django project: in async views, in sync views, and under WSGI.

Django itself does not tell an app when it starts and ends, so a small Starlette app around it has the client:

    cd examples/recipes && uvicorn django_app:application

VPS_API_TOKEN must be set. This file is a whole project; in yours, `application` belongs into asgi.py.
"""

from __future__ import annotations

import logging

from typing import Any

import django

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils.deprecation import MiddlewareMixin
from starlette.applications import Starlette
from starlette.routing import Mount

from vpsorg_async import Client, NotFoundError, VPSError
from vpsorg_async.integrations.fastapi import lifespan


def client_of(request: Any) -> Client:
    client: Client = request.scope["state"]["vpsorg"]
    return client


async def servers(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"servers": [server.to_dict() for server in await client_of(request).servers.list()]})


def reboot(request: HttpRequest, server_id: str) -> JsonResponse:
    """Do the same in a sync view. It runs in a thread; `async_to_sync` runs the call in the loop of the client."""
    action = async_to_sync(client_of(request).servers.reboot)(server_id)
    return JsonResponse(action.to_dict(), status=202)


def server_under_wsgi(_request: HttpRequest, server_id: str) -> JsonResponse:
    """Do it under WSGI, where there is no loop to share: `async_to_sync` makes one, and ends it after the call.

    A client belongs to one loop, so this view makes its own. That costs each request a new connection.
    """

    async def get() -> dict[str, Any]:
        async with Client() as client:
            server = await client.servers.get(server_id)
        return server.to_dict()

    return JsonResponse(async_to_sync(get)())


class ErrorsMiddleware(MiddlewareMixin):
    """Answer an error of the client. Its text goes to the log alone: it may have words of the API."""

    def process_exception(self, _request: HttpRequest, error: Exception) -> JsonResponse | None:
        """Return the answer to an error that a view has raised; `None` leaves it to Django."""
        if not isinstance(error, VPSError):
            return None
        logging.getLogger("vpsorg_async").warning("a view has failed: %s", error)
        return JsonResponse(
            {"detail": "The API did not do it."}, status=404 if isinstance(error, NotFoundError) else 502
        )


urlpatterns = [
    path("servers", servers),
    path("servers/<server_id>", server_under_wsgi),
    path("servers/<server_id>/reboot", reboot),
]

settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"], MIDDLEWARE=[f"{__name__}.ErrorsMiddleware"]
)
django.setup()

# The stubs of Django name narrower types for ASGI than Starlette does.
project: Any = get_asgi_application()
application = Starlette(routes=[Mount("/", project)], lifespan=lifespan())
