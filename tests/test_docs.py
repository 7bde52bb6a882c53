"""docs/architecture.md says what the code is."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tests.helpers import ROOT


spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
make_tables = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_tables)
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PATH = re.compile(r"`((?:vpsorg_async|tests|docs|benchmarks|examples)/[\w./-]+)`")


def test_its_tree_and_its_tables_are_those_of_the_code():
    """`python docs/make_tables.py` writes them."""
    assert make_tables.written(PAGE) == PAGE


@pytest.mark.parametrize("name", make_tables.PARTS)
def test_a_part_that_is_out_of_date_is_noticed(name):
    begin = f"<!-- {name}: begin -->\n"

    assert make_tables.written(PAGE.replace(begin, f"{begin}old\n")) == PAGE


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="no marks for the part 'tree'"):
        make_tables.written("# How it is built")


@pytest.mark.parametrize("page", [path.name for path in sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])])
def test_every_file_that_a_page_names_is_there(page):
    path = ROOT / page if (ROOT / page).exists() else ROOT / "docs" / page

    assert [name for name in PATH.findall(path.read_text()) if not (ROOT / name).exists()] == []
