"""The Python blocks of the pages, of docstrings and of notebooks, and files of them that a type checker can read."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import textwrap

from collections.abc import Iterator
from pathlib import Path

from tests.helpers import ROOT


FENCED = re.compile(
    r"^(?:<!-- unchecked: (?P<unchecked>.+) -->\n)?(?P<indent> *)```(?:python|py)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
# A block that awaits outside of a function is a part of one. The text around it has said these names before.
PROMISED = """\
# pyright: reportUnusedVariable=false, reportUnusedExpression=false, reportUnusedImport=false
from vpsorg_async import Client, Server, ServerSpec
from vpsorg_async.durable import DurableFleets
async def block(client: Client, server: Server, specs: list[ServerSpec]) -> None:
"""


@dataclasses.dataclass(frozen=True)
class Block:
    """A block: the file where it stands, its first line there, the heading above it, and why it is not checked."""

    where: str
    line: int
    heading: str
    text: str
    unchecked: str | None

    @property
    def module(self) -> str:
        return re.sub(r"\W", "_", f"{Path(self.where).with_suffix('')}_{self.line}")

    @property
    def header(self) -> str:
        try:
            compile(self.text, self.module, "exec", dont_inherit=True)
        except SyntaxError:
            return PROMISED
        return ""

    @property
    def source(self) -> str:
        return self.header + textwrap.indent(self.text, "    " if self.header else "")


def blocks_of_page(where: str, page: str) -> Iterator[Block]:
    """Yield the blocks of a page or a docstring."""
    for found in FENCED.finditer(page):
        headings = re.findall(r"^#+ (.+)$", page[: found.start()], re.MULTILINE)
        line = 1 + page[: found.start("text")].count("\n")
        yield Block(where, line, "".join(headings[-1:]), textwrap.dedent(found["text"]), found["unchecked"])


def blocks_of_module(where: str, source: str) -> Iterator[Block]:
    """Yield the blocks of the docstrings of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and "```" in (
            ast.get_docstring(node, clean=False) or ""
        ):
            docstring = node.body[0]
            for block in blocks_of_page(where, ast.get_docstring(node, clean=False) or ""):
                yield dataclasses.replace(block, line=docstring.lineno + block.line - 1)


def block_of_notebook(where: str, notebook: str) -> Block:
    """Return all cells as one block. Its lines are counted from the first cell on."""
    cells = [cell for cell in json.loads(notebook)["cells"] if cell["cell_type"] == "code"]
    return Block(where, 1, "", "\n\n".join("".join(cell["source"]) for cell in cells) + "\n", None)


def all_blocks() -> list[Block]:
    """Return the blocks of all pages, of the docstrings of the package, and of the notebooks."""
    found = [block for path in PAGES for block in blocks_of_page(str(path.relative_to(ROOT)), path.read_text("utf-8"))]
    for path in sorted((ROOT / "vpsorg_async").rglob("*.py")):
        found += blocks_of_module(str(path.relative_to(ROOT)), path.read_text("utf-8"))
    for path in sorted((ROOT / "examples").rglob("*.ipynb")):
        found.append(block_of_notebook(str(path.relative_to(ROOT)), path.read_text("utf-8")))
    return found


def write(blocks: list[Block], folder: Path) -> None:
    """Write each block as a module."""
    for block in blocks:
        (folder / f"{block.module}.py").write_text(block.source, encoding="utf-8")


def in_pages(said: str, blocks: list[Block]) -> str:
    """Return what a checker said with the places in the pages, instead of those in the files."""
    by_module = {block.module: block for block in blocks}

    def place(found: re.Match[str]) -> str:
        block = by_module.get(found[1])
        if block is None:
            return found[0]
        return f"{block.where}:{int(found[2]) - block.header.count(chr(10)) + block.line - 1}"

    return re.sub(r"[^\s:]*?(\w+)\.py:(\d+)", place, said)
