"""Tests the connections to a store's database."""

from __future__ import annotations

import time

import sqlalchemy

from vpsorg_async.durable._database import engine_of
from vpsorg_async.durable._store_url import checked_store


def test_it_tells_the_time_in_fractions_of_a_second_whatever_its_version(tmp_path):
    engine = engine_of(checked_store(f"sqlite:///{tmp_path / 'fleet.sqlite'}"))
    before = time.time()
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE one (at REAL NOT NULL DEFAULT (unixepoch('subsec') * 1000))"))
        connection.execute(sqlalchemy.text("INSERT INTO one DEFAULT VALUES"))
        at = connection.execute(sqlalchemy.text("SELECT at FROM one")).scalar_one()
    engine.dispose()

    assert before - 0.001 <= at / 1000 <= time.time() + 0.001


def test_a_writer_waits_for_another_one(tmp_path):
    engine = engine_of(checked_store(f"sqlite:///{tmp_path / 'fleet.sqlite'}"))
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("PRAGMA busy_timeout")).scalar_one() == 30_000
        assert connection.execute(sqlalchemy.text("PRAGMA foreign_keys")).scalar_one() == 1
    engine.dispose()
