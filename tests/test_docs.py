"""The pages say what the code is."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tests.helpers import LEFT_OUT, ROOT


spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
make_tables = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_tables)
PATH = re.compile(r"`((?:vpsorg_async|tests|docs|benchmarks|examples)/[\w./-]+)`")


@pytest.mark.parametrize("page", make_tables.PARTS)
def test_its_tree_and_its_tables_are_those_of_the_code(page):
    """`python docs/make_tables.py` writes them."""
    text = (ROOT / "docs" / page).read_text()

    assert make_tables.written(page, text) == text


@pytest.mark.parametrize(
    ("page", "name"), [(page, name) for page, parts in make_tables.PARTS.items() for name in parts]
)
def test_a_part_that_is_out_of_date_is_noticed(page, name):
    text, begin = (ROOT / "docs" / page).read_text(), f"<!-- {name}: begin -->\n"

    assert make_tables.written(page, text.replace(begin, f"{begin}old\n")) == text


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="no marks for the part 'tree'"):
        make_tables.written("architecture.md", "# How it is built")


@pytest.mark.parametrize("page", [path.name for path in sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])])
def test_every_file_that_a_page_names_is_there(page):
    path = ROOT / page if (ROOT / page).exists() else ROOT / "docs" / page

    names = [name for name in PATH.findall(path.read_text()) if not name.endswith(LEFT_OUT)]
    assert [name for name in names if not (ROOT / name).exists()] == []
