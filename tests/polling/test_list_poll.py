"""The list as a poll reads it: page after page, and on from where it was refused."""

from __future__ import annotations

import pytest

from tests.helpers import listed, page
from tests.sharing import Scripted, scripted_client_of
from vpsorg_async import RateLimitError
from vpsorg_async._polling.list_poll import ListPoll


pytestmark = pytest.mark.anyio


def paged(refused_at=()):
    """Answer a list of three pages of two servers; the requests of those numbers are refused."""

    def answer(_method, path, number):
        if number in refused_at:
            return 0.1, 429, {"detail": "Slow down."}
        which = int(path.partition("?page=")[2] or 1)
        link = f"https://api.example/api/v1/servers/?page_size=100&page={which + 1}" if which < 3 else None
        return 0.1, 200, page(*(listed(2 * which + one) for one in (0, 1)), next=link, count=6)

    return answer


def reading_of(client):
    return ListPoll(client._context.pager, client._options.for_polling(5.0), choose=lambda _items: None)


async def test_all_pages_are_read_once():
    transport = Scripted(paged())
    async with scripted_client_of(transport) as client:
        reading, failures = reading_of(client), []
        while not reading.ended:
            failures.append(await reading.read())

        assert set(failures) == {None}
        assert [[server.id for server in one.servers] for one in reading.pages] == [[2, 3], [4, 5], [6, 7]]
        assert len(transport.asked) == 3


async def test_after_a_refusal_it_goes_on_behind_the_pages_that_were_read():
    transport = Scripted(paged(refused_at={2, 3}))
    async with scripted_client_of(transport) as client:
        reading = reading_of(client)

        first, refused = await reading.read(), await reading.read()
        read = len(reading.take_new_pages())
        while not reading.ended:
            await reading.read()

        assert (first, type(refused), read) == (None, RateLimitError, 1)
        assert [server.id for one in reading.pages for server in one.servers] == [2, 3, 4, 5, 6, 7]
        assert [path for _, path in transport.asked].count("/servers/") == 1
