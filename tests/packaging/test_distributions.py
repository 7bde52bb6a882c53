"""The sdist and the wheel hold what they should, and the index page can be read without the repository."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile

from html.parser import HTMLParser

import pytest

from markdown_it import MarkdownIt
from trove_classifiers import classifiers

from tests.helpers import ROOT


URLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
EXTRAS_OF_USERS = {"durable", "fastapi", "otel", "prometheus", "sandbox", "trio", "uvloop"}


@pytest.fixture(scope="session")
def metadata(distributions):
    with zipfile.ZipFile(distributions.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(wheel.read(name))


@pytest.fixture(scope="session")
def unpacked(distributions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(distributions.sdist) as archive:
        archive.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


class Addresses(HTMLParser):
    """The links and the pictures of a page."""

    def __init__(self, page):
        super().__init__()
        self.links, self.pictures = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "img":
            self.pictures.append(given["src"])


class TestIndexPage:
    def test_every_link_and_every_picture_has_a_whole_address(self, metadata):
        page = Addresses(MarkdownIt().render(metadata.get_payload(decode=True).decode()))

        assert len(page.links) > 30
        assert len(page.pictures) == 1
        assert [address for address in page.links + page.pictures if not re.match("https?://|#", address)] == []

    def test_an_address_in_the_repository_is_the_file_of_this_version(self, metadata):
        page = Addresses(MarkdownIt().render(metadata.get_payload(decode=True).decode()))
        source, version = URLS["Source"], metadata["Version"]
        raw = source.replace("https://github.com/", "https://raw.githubusercontent.com/")
        links = [link.removeprefix(f"{source}/blob/v{version}/") for link in page.links if link.startswith(source)]
        pictures = [picture.removeprefix(f"{raw}/v{version}/") for picture in page.pictures]

        assert {"docs/errors.md#know-the-limit", "CONTRIBUTING.md"} <= set(links)
        assert pictures == ["docs/terminal.svg"]
        assert [path for path in links + pictures if not (ROOT / path.partition("#")[0]).exists()] == []

    def test_it_is_rendered_without_a_complaint(self, distributions):
        command = [
            sys.executable,
            "-m",
            "twine",
            "check",
            "--strict",
            str(distributions.wheel),
            str(distributions.sdist),
        ]

        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

        assert done.returncode == 0, done.stdout + done.stderr


class TestMetadata:
    def test_it_says_where_everything_is(self, metadata):
        labels = [line.split(", ") for line in metadata.get_all("Project-URL")]

        assert dict(labels) == URLS
        assert URLS.keys() == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
        assert URLS["Homepage"] == "https://vps.org"

    def test_the_license_is_an_expression_and_a_file(self, metadata, distributions):
        assert metadata["License-Expression"] == "MIT"
        assert metadata.get_all("License-File") == ["LICENSE"]
        assert any(
            name.endswith(".dist-info/licenses/LICENSE") for name in zipfile.ZipFile(distributions.wheel).namelist()
        )

    def test_the_classifiers_are_those_of_the_index(self, metadata):
        assert set(metadata.get_all("Classifier")) - set(classifiers) == set()
        assert not [one for one in metadata.get_all("Classifier") if one.startswith("License ::")]

    def test_the_extras_are_those_of_users_and_the_tests(self, metadata):
        """Everything else that developers need is a dependency group, which is not published."""
        assert set(metadata.get_all("Provides-Extra")) == EXTRAS_OF_USERS | {"test"}

    def test_nothing_is_required_but_by_an_extra(self, metadata):
        always = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]

        assert {re.match(r"[\w-]+", line)[0] for line in always} == {
            "anyio",
            "attrs",
            "cattrs",
            "httptools",
            "httpx",
            "orjson",
            "tenacity",
        }


class TestWheel:
    def test_it_holds_the_package_and_the_plugin_alone(self, distributions):
        package = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / "vpsorg_async").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

        held = {name for name in zipfile.ZipFile(distributions.wheel).namelist() if ".dist-info/" not in name}

        assert held == package | {"_vpsorg_async_pytest_plugin.py"}
        assert {"vpsorg_async/py.typed", "vpsorg_async/sandbox/_ui/static/page.css"} < held


class TestSdist:
    def test_it_holds_what_is_needed_to_build_test_and_read(self, unpacked):
        needed = [
            "LICENSE",
            "README.md",
            "CHANGELOG.md",
            "pyproject.toml",
            "tests/lowest.txt",
            "tests/contract/list.json",
        ]

        assert [name for name in needed if not (unpacked / name).is_file()] == []
        for folder in ("vpsorg_async", "tests", "docs", "examples", "benchmarks"):
            there = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
            assert {path.relative_to(unpacked) for path in (unpacked / folder).rglob("*.py")} == there

    def test_it_holds_nothing_that_a_run_has_left_and_no_photographs(self, unpacked):
        kinds = {path.suffix for path in unpacked.rglob("*") if path.is_file()}
        hidden = {path.name for path in unpacked.rglob(".*")}

        assert kinds & {".pyc", ".png", ".sqlite", ".log", ".whl"} == set()
        assert hidden <= {".gitignore", ".ci", ".github"}

    def test_its_tests_run(self, unpacked):
        """A selection: the pages, the project's facts, and a wait on the sandbox."""
        files = ["tests/test_project.py", "tests/test_docs.py", "tests/test_readme.py", "tests/test_exports.py"]
        chosen = ["-k", "not example and not terminal", "-p", "no:cacheprovider", "-q", "-n", "0"]

        done = subprocess.run(
            [sys.executable, "-m", "pytest", *chosen, *files],
            cwd=unpacked,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

        assert done.returncode == 0, done.stdout[-3000:]
