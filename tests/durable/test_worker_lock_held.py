"""A worker's name is held by one live process."""

from __future__ import annotations

import stat
import subprocess
import sys

from pathlib import Path

import anyio
import pytest

from tests.helpers import ROOT
from vpsorg_async import ConfigurationError, InvalidArgumentError
from vpsorg_async.durable._store_url import StoreURL, checked_store
from vpsorg_async.durable._worker_lock import checked_worker, worker_lock


HOLDER = """
import anyio, sys
from vpsorg_async.durable._store_url import checked_store
from vpsorg_async.durable._worker_lock import worker_lock

async def main():
    lock = worker_lock(checked_store(sys.argv[1]), "m1")
    await lock.acquire()
    print("held", flush=True)
    sys.stdin.read()

anyio.run(main)
"""


@pytest.fixture
def url(tmp_path: Path) -> StoreURL:
    """Return the address of a store in a folder of its own."""
    return checked_store(f"sqlite:///{tmp_path / 'fleet.sqlite'}")


@pytest.mark.anyio
async def test_a_name_is_held_once_and_free_again_when_it_is_given_back(url):
    first, second = worker_lock(url, "m1"), worker_lock(url, "m1")
    await first.acquire()

    with pytest.raises(ConfigurationError, match="'m1' is at work already"):
        await second.acquire()
    await first.check()
    await first.release()

    await second.acquire()
    await second.release()


@pytest.mark.anyio
async def test_what_was_refused_does_not_give_the_name_of_another_one_back(url):
    first, second = worker_lock(url, "m1"), worker_lock(url, "m1")
    await first.acquire()
    with pytest.raises(ConfigurationError):
        await second.acquire()

    await second.release()

    with pytest.raises(ConfigurationError):
        await worker_lock(url, "m1").acquire()
    await first.release()


@pytest.mark.anyio
async def test_it_can_be_given_back_twice_and_taken_again(url):
    lock = worker_lock(url, "m1")
    for _ in range(2):
        await lock.acquire()
        await lock.release()
        await lock.release()


@pytest.mark.anyio
async def test_workers_of_other_names_and_of_other_stores_do_not_meet(url, tmp_path):
    locks = [
        worker_lock(url, "m1"),
        worker_lock(url, "m2"),
        worker_lock(url, "m1.lock"),
        worker_lock(checked_store(f"sqlite:///{tmp_path / 'other.sqlite'}"), "m1"),
    ]
    for lock in locks:
        await lock.acquire()
    for lock in locks:
        await lock.release()


@pytest.mark.anyio
async def test_the_file_beside_the_store_is_its_owner_s_alone(url):
    lock = worker_lock(url, "m1")
    await lock.acquire()

    path = url.file.with_name("fleet.sqlite.m1.lock")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await lock.release()


def test_a_process_that_is_killed_gives_its_name_back(url):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, f"sqlite:///{url.file}"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        lock = worker_lock(url, "m1")
        with pytest.raises(ConfigurationError):
            anyio.run(lock.acquire)

        holder.kill()
        holder.wait()

        anyio.run(lock.acquire)
        anyio.run(lock.release)


@pytest.mark.anyio
async def test_a_database_that_is_away_is_told_without_its_password():
    """Nothing listens there."""
    lock = worker_lock(checked_store("postgresql://me:zqsecret@127.0.0.1:1/db"), "m1")

    with pytest.raises(ConfigurationError, match="cannot be reached") as caught:
        await lock.acquire()

    assert "zq" not in str(caught.value)
    assert caught.value.__cause__ is None
    await lock.release()


@pytest.mark.parametrize("worker", ["m1", "a", "host-7.example_x", "m" * 64])
def test_a_name_of_the_documented_form_is_taken(worker):
    assert checked_worker(worker) == worker


@pytest.mark.parametrize("worker", ["", "a/b", "../m1", ".m1", "a b", "a\n", "ä", "m" * 65])
def test_another_name_is_refused(worker):
    with pytest.raises(InvalidArgumentError, match="give 1 to 64 letters"):
        checked_worker(worker)


def test_a_name_is_a_text():
    with pytest.raises(TypeError, match="worker"):
        checked_worker(7)
