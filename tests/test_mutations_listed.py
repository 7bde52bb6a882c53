"""Every row that a test shows has a mutation, every mutation has a test, and each fits the source as it is."""

from __future__ import annotations

import difflib

import pytest

from tests.helpers import ROOT, rows_shown
from tests.mutate import Mutation, load


MUTATIONS = load()


def test_every_row_with_a_test_has_a_mutation():
    assert sorted(set().union(*rows_shown().values()) - {mutation.row for mutation in MUTATIONS}) == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[f"{one.row}-{number}" for number, one in enumerate(MUTATIONS)])
class TestMutation:
    def test_its_row_has_a_test_where_it_says(self, mutation):
        files = [ROOT / name for name in mutation.tests] or rows_shown()

        assert any(mutation.row in rows_shown()[path] for path in files)

    def test_it_fits_the_source_once_and_leaves_python(self, mutation):
        assert compile(mutation.applied_to(ROOT), mutation.file, "exec", dont_inherit=True)

    def test_it_changes_one_line(self, mutation):
        changes = list(difflib.ndiff(mutation.find.splitlines(), mutation.replace.splitlines()))

        assert [sum(line.startswith(sign) for line in changes) <= 1 for sign in "-+"] == [True, True]
        assert mutation.find != mutation.replace


def test_a_text_that_occurs_twice_is_refused(tmp_path):
    (tmp_path / "x.py").write_text("a = 1\nb = 1\n")

    with pytest.raises(ValueError) as caught:
        Mutation(row="W1", file="x.py", find="= 1", replace="= 2").applied_to(tmp_path)

    assert str(caught.value) == "W1: x.py has '= 1' 2 times, not once"
