"""Runs Debian's PostgreSQL for the tests: in a folder of its own, on a socket, without a port."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile

from pathlib import Path
from urllib.parse import quote


USER = "postgres"


def programs() -> Path:
    """Return the folder of PostgreSQL's newest programs, which Debian does not put on the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    assert found is not None, "PostgreSQL is not installed: apt-get install postgresql"
    return Path(found).parent


class Postgres:
    """A cluster with an empty database for each test.

    PostgreSQL refuses to run as root: it runs as Debian's user then.
    """

    def __init__(self) -> None:
        self._programs = programs()
        # A socket's path may have 107 characters: pytest's folders are longer.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._numbers = itertools.count(1)
        self.data = self.folder / "data"
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._run("initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        # What is kept survives the kill of a client without fsync, and these tests cut no power.
        settings = {"listen_addresses": "''", "unix_socket_directories": f"'{self.folder}'", "fsync": "off"}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def start(self) -> None:
        """Start the server, and return when it accepts connections."""
        self._control("start", "-l", str(self.folder / "log.txt"))

    def stop(self) -> None:
        """Stop the server at once, as a crash does: connections are cut."""
        self._control("stop", "-m", "immediate")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def database(self) -> str:
        """Create a database, and return its URL."""
        name = f"fleets{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{USER}@/{name}?host={quote(str(self.folder), safe='')}"

    def sql(self, statement: str, database: str = USER) -> str:
        """Execute a statement, and return what it gives."""
        return self._run("psql", "-h", str(self.folder), "-U", USER, "-d", database, "-X", "-A", "-t", "-c", statement)

    def dump(self, database: str) -> bytes:
        """Return everything in a database, as the statements that make it again."""
        return self._run("pg_dump", "-h", str(self.folder), "-U", USER, database).encode()

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", USER, "--", *command]
        with tempfile.TemporaryFile("w+") as told:
            # pg_ctl's server would keep a pipe open.
            done = subprocess.run(
                command, cwd="/", stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT, check=False
            )
            told.seek(0)
            text = told.read()
        assert done.returncode == 0, f"{program}: {text}"
        return text
