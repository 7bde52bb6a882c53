"""mypy and pyright, strict, find nothing wrong in examples, nor in blocks of pages, docstrings and notebooks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.blocks import Block, all_blocks, block_of_notebook, blocks_of_module, blocks_of_page, in_pages, write
from tests.helpers import ROOT


CHECKED = [block for block in all_blocks() if block.unchecked is None]
WRONG = Block("docs/wrong.md", 41, "", "server = await client.servers.get(7)\nprint(server.title)\n", None)
PAGE = """\
# Reboot

```python
import vpsorg_async
```

## In doubt

<!-- unchecked: It is half a line. -->
```py
await client.servers.
```

```sh
pip
```
"""
MODULE = '''\
class Client:
    """Connect.

    ```python
    async with Client() as client:
        server = await client.servers.get(7)
    ```
    """
'''


def test_a_checker_finds_nothing_but_what_is_wrong(tmp_path, checker):
    """A wrong block among all the others, and the examples, is told with the page and the line where it stands."""
    blocks = [*CHECKED, WRONG]
    write(blocks, tmp_path)

    done = subprocess.run([sys.executable, "-m", *checker], cwd=ROOT, capture_output=True, text=True, check=False)

    said = in_pages(done.stdout, blocks)
    assert set(re.findall(r"^ *([^ :]+:\d+):", said, re.MULTILINE)) == {"docs/wrong.md:42"}, said
    assert '"title"' in said


@pytest.fixture(params=["mypy", "pyright"])
def checker(request, tmp_path):
    if request.param == "mypy":
        return ["mypy", "--strict", "--no-pretty", str(tmp_path), "examples"]
    examples = os.path.relpath(ROOT / "examples", tmp_path)
    options = {"include": [".", examples], "typeCheckingMode": "strict", "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(options))
    return ["pyright", "--project", str(tmp_path), "--pythonpath", sys.executable]


def test_each_block_that_is_not_checked_says_why():
    assert {(block.where, block.unchecked) for block in all_blocks() if block.unchecked} == set()


def test_blocks_are_cut_out_of_a_page():
    whole, half = blocks_of_page("docs/page.md", PAGE)

    assert (whole.line, whole.heading, whole.source) == (4, "Reboot", "import vpsorg_async\n")
    assert (half.line, half.heading, half.unchecked) == (11, "In doubt", "It is half a line.")


def test_a_block_of_a_docstring_is_the_body_of_a_function():
    (block,) = blocks_of_module("client.py", MODULE)

    assert MODULE.splitlines()[block.line - 1].strip() == block.text.splitlines()[0]
    assert block.source.endswith("    async with Client() as client:\n        server = await client.servers.get(7)\n")
    compile(block.source, "block", "exec")


def test_the_cells_of_a_notebook_are_one_block():
    cells = [
        {"cell_type": "code", "source": ["a = 1\n", "b = 2"]},
        {"cell_type": "markdown", "source": ["# Heading"]},
        {"cell_type": "code", "source": ["await c"]},
    ]

    block = block_of_notebook("notebook.ipynb", json.dumps({"cells": cells}))

    assert block.text == "a = 1\nb = 2\n\nawait c\n"
