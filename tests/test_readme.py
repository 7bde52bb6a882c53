"""The examples of the README and of docs/ run as they are printed, against the sandbox. Every link leads to a file."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.blocks import blocks_of_page
from tests.helpers import LEFT_OUT, ROOT
from tests.listeners import refusing
from vpsorg_async.sandbox import Sandbox


README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
COMMANDS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
TERMINALS = re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


EXAMPLES = [
    pytest.param(block.text, id=f"{name}: {block.heading}")
    for name, page in PAGES.items()
    for block in blocks_of_page(name, page)
]
SCRIPTS = [example for example in EXAMPLES if "asyncio.run(" in example.values[0]]
TESTS = [example for example in EXAMPLES if example not in SCRIPTS]
LINKS = [
    (name, link)
    for name, page in PAGES.items()
    for link in dict.fromkeys(LINK.findall(page))
    if "://" not in link and not link.endswith(LEFT_OUT)
]


@pytest.mark.parametrize("example", SCRIPTS)
def test_an_example_runs_as_it_is_printed(example, tmp_path):
    """A fresh interpreter is given the text between the fences, and the sandbox in place of the API."""
    with Sandbox().serve(speed=600) as base_url:
        environment = {**os.environ, "VPS_API_TOKEN": "vps_sandbox", "VPS_API_URL": base_url, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", example],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout


@pytest.mark.parametrize("example", TESTS)
def test_an_example_of_a_test_passes_in_a_project_of_its_own(pytester, monkeypatch, example):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(example)

    result = pytester.run(sys.executable, "-m", "pytest", "-p", "no:xdist", timeout=60)

    result.assert_outcomes(passed=1)


def test_the_first_two_commands_run_the_demo_and_the_tests():
    demo, tests = COMMANDS[:2]

    assert demo.count("\n") == tests.count("\n") == 1
    assert demo.endswith("-m vpsorg_async demo\n")
    assert tests.endswith("-m pytest -n auto\n")
    assert README.index(tests) < README.index("\n## ")


def test_the_readme_is_read_in_a_minute():
    assert README.count("\n") <= 130


def test_the_first_example_runs_on_a_served_sandbox_as_the_readme_says(tmp_path):
    """Both terminals' commands run as they are printed, on a free port instead of 8800."""
    package, extra, serve, run = TERMINALS
    (tmp_path / "first.py").write_text(EXAMPLES[0].values[0], encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }

    def terminal(commands, **options):
        text = commands.replace("8800", str(free.port))
        return subprocess.Popen(["bash", "-euc", text], cwd=tmp_path, env=environment, text=True, **options)

    with refusing() as free, terminal(f"exec {serve}", stdout=subprocess.PIPE) as sandbox:
        try:
            assert f"http://127.0.0.1:{free.port}/api/v1" in sandbox.stdout.readline()
            with terminal(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as second:
                out, err = second.communicate(timeout=120)
        finally:
            sandbox.terminate()

    assert (package, extra) == ("pip install vpsorg-async\n", "pip install 'vpsorg-async[sandbox]'\n")
    assert (second.returncode, err) == (0, "")
    assert "web-01 is active" in out


@pytest.mark.parametrize(("name", "link"), LINKS, ids=[f"{name}: {link}" for name, link in LINKS])
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(name, link):
    path, _, anchor = link.partition("#")
    target = (ROOT / name).parent / path if path else ROOT / name

    assert target.exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_every_page_can_be_reached_from_the_readme():
    linked = {link.partition("#")[0] for link in LINK.findall(README)}

    assert {name for name in PAGES if name != "README.md"} <= linked


def test_the_picture_of_a_terminal_is_an_svg_without_outside_parts():
    picture = ET.parse(ROOT / "docs" / "terminal.svg")

    assert picture.getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme" in "".join(picture.getroot().itertext())
    assert not [part for part in picture.iter() if any(name.endswith(("href", "src")) for name in part.attrib)]
