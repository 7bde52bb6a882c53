"""Knows under which ids the API shows one server: by its number and by its UUID."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._checks import server_key


if TYPE_CHECKING:
    from .._models import Server

CAPACITY = 20_000
"""The number of servers whose ids are remembered (assumed: an account has no more)."""


class Spellings:
    """The ids of servers that responses have shown under several. Each server has one key, the first of its ids."""

    def __init__(self) -> None:
        # Every id leads to all ids of its server, the key first.
        self._ids: dict[str, tuple[str, ...]] = {}

    def key(self, server_id: int | str) -> str:
        """Return the key of a server."""
        given = server_key(server_id)
        return self._ids[given][0] if given in self._ids else given

    def all_of(self, key: str) -> tuple[str, ...]:
        """Return every id of a server, its key first."""
        return self._ids.get(key, (key,))

    def __contains__(self, key: object) -> bool:
        """Return whether a server was shown under this id and another one."""
        return key in self._ids

    def learn(self, server: Server) -> tuple[str, str] | None:
        """Learn that a response has shown a server by both its id and its UUID.

        Return the key, and the one that the server had until now, if there were two.
        """
        uuid = server.extra.get("uuid")
        if not isinstance(uuid, str) or not uuid:
            return None
        one, other = self.key(server.id), self.key(uuid)
        if one == other or len(self._ids) >= 2 * CAPACITY:
            return None
        together = (*self.all_of(one), *self.all_of(other))
        self._ids.update(dict.fromkeys(together, together))
        return one, other
