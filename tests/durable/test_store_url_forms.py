"""Addresses of stores: which are taken, what is shown of them, and what becomes of a SQLite file."""

from __future__ import annotations

import os
import sqlite3
import stat

from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy

from hypothesis import example, given
from hypothesis import strategies as st

from vpsorg_async import ConfigurationError
from vpsorg_async.durable._store_url import StoreURL, checked_store, prepare_file


hosts = st.from_regex(r"[a-y][a-y0-9.-]{0,20}", fullmatch=True)
passwords = st.text(min_size=4, max_size=20).map(lambda word: f"zq{word}")
files = st.from_regex(r"[A-Za-z0-9 ._%#@:-]{0,20}\.sqlite", fullmatch=True)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@given(hosts, passwords, st.sampled_from(["postgresql", "postgresql+psycopg"]))
def test_a_password_is_in_nothing_that_is_shown(host, password, scheme):
    """In the user's part, and as a parameter."""
    secret = quote(password, safe="")
    for given_url in (
        f"{scheme}://me:{secret}@{host}:5432/db",
        f"{scheme}://{host}/db?user=me&password={secret}",
        f"{scheme}://me:{secret}@{host}/db?password={secret}",
    ):
        url = checked_store(given_url)

        assert "zq" not in url.shown
        assert "zq" not in repr(url)
        assert host in url.shown
        assert secret in url.url
        assert sqlalchemy.make_url(url.url).drivername == "postgresql+psycopg"
        assert url.file is None
        assert url.postgres.startswith("postgresql://")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:zqsecret@host:port/db",
        "postgresql://me:zq/secret@host/db",
        "postgresql://me:zq#secret@host/db",
        "postgresql://me:zq%secret@host/db",
        "postgresql://me:zq secret@host/db",
        "postgresql://me:zqsecret@[::1/db",
        "postgresql://me:zq@secret@host/db",
        "postgresql://host/db?password=zq@secret",
        "postgresql+asyncpg://me:zqsecret@host/db",
        "postgresql+psycopg://",
        "mysql://me:zqsecret@host/db",
        "me:zqsecret",
        "",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_its_password(address):
    """Neither a driver nor PostgreSQL's own library is asked: they would quote it."""
    with pytest.raises(ConfigurationError, match="give sqlite:///FILE or postgresql") as caught:
        checked_store(address)

    assert "zq" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "address",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a?mode=memory",
        "sqlite://fleet.sqlite",
        "sqlite://a/b",
    ],
)
def test_a_store_in_memory_and_one_at_a_host_are_refused(address):
    with pytest.raises(ConfigurationError, match="give sqlite:///FILE"):
        checked_store(address)


@pytest.mark.parametrize("address", ["sqlite:///a\0b", "sqlite:///a%00b"])
def test_a_file_whose_name_no_system_takes_is_refused(address):
    with pytest.raises(ConfigurationError, match="null character"):
        checked_store(address)


def test_a_socket_and_no_host_at_all_are_taken():
    url = checked_store("postgresql+psycopg://postgres@/db?host=%2Ftmp%2Fpg")

    assert url.shown == "postgresql+psycopg://postgres@/db"
    assert url.postgres == "postgresql://postgres@/db?host=%2Ftmp%2Fpg"


@pytest.mark.parametrize("address", [None, 7, b"sqlite:///a", Path("a")])
def test_an_address_is_a_text(address):
    with pytest.raises(TypeError, match="store takes an address"):
        checked_store(address)


@given(files)
@example("a%20b.sqlite")
def test_the_file_that_is_checked_is_the_one_that_is_opened(name):
    """Whatever its name: SQLAlchemy decodes percent signs."""
    url = checked_store(f"sqlite:////folder/{name}")

    assert url.file == Path(sqlalchemy.make_url(url.url).database or "")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sqlite:///a/../fleet.sqlite", "sqlite:///fleet.sqlite", True),
        ("sqlite:////srv/a%20b", "sqlite:////srv/a b", True),
        ("sqlite:///fleet.sqlite", "sqlite:///other.sqlite", False),
        ("postgresql://me:one@host/db", "postgresql+psycopg://me:two@host/db", True),
        ("postgresql://host/db", "postgresql://host/other", False),
        ("postgresql://host/db", "sqlite:///db", False),
        ("sqlite:///db", "postgresql://host/db", False),
    ],
)
def test_two_addresses_of_one_store_are_known(one, other, same):
    assert checked_store(one).is_same(other) is same


def test_a_relative_path_and_an_absolute_one_are_told_apart():
    assert checked_store("sqlite:///fleet.sqlite").file == Path("fleet.sqlite")
    assert checked_store("sqlite:////srv/fleet.sqlite").file == Path("/srv/fleet.sqlite")


@pytest.fixture
def url(tmp_path: Path) -> StoreURL:
    """Return the address of a file that is not there."""
    return checked_store(f"sqlite:///{tmp_path / 'fleet.sqlite'}")


def test_a_new_file_is_its_owner_s_alone_whatever_the_umask(url):
    before = os.umask(0)
    try:
        prepare_file(url)
    finally:
        os.umask(before)

    assert mode_of(url.file) == 0o600


def test_a_file_that_others_could_read_is_its_owner_s_alone_afterwards(url):
    with closing(sqlite3.connect(url.file)) as database:
        database.execute("CREATE TABLE mine (one INTEGER)")
        database.execute("INSERT INTO mine VALUES (7)")
        database.commit()
    url.file.chmod(0o644)

    prepare_file(url)

    assert mode_of(url.file) == 0o600
    with closing(sqlite3.connect(url.file)) as database:
        assert database.execute("SELECT one FROM mine").fetchall() == [(7,)]
        # Nothing of the check is left.
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


@pytest.mark.parametrize("data", [b"no database at all, but a text\n" * 200, b"SQLite format 3\0" + b"\0" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(url, data):
    url.file.write_bytes(data)

    with pytest.raises(ConfigurationError, match=r"fleet\.sqlite"):
        prepare_file(url)

    assert url.file.read_bytes() == data


def test_a_folder_and_a_file_in_no_folder_are_refused(url, tmp_path):
    url.file.mkdir()
    with pytest.raises(ConfigurationError, match=r"fleet\.sqlite"):
        prepare_file(url)

    with pytest.raises(ConfigurationError, match="nowhere"):
        prepare_file(checked_store(f"sqlite:///{tmp_path / 'nowhere' / 'a'}"))
