"""Every rule of METHODOLOGY.md has a number, and names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "METHODOLOGY.md").read_text(encoding="utf-8")
RULES = re.findall(r"(?ms)^(\d+)\. (.*?)(?=^\d+\. |^## |\Z)", TEXT)


@pytest.fixture(scope="module")
def functions():
    """The names of all test functions."""
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


def test_rules_are_numbered_one_after_the_other():
    assert [int(number) for number, _ in RULES] == list(range(1, len(RULES) + 1))
    assert len(RULES) > 40


def test_references_name_the_rules_they_mean():
    """A rule's reference, and a word of the rule that is meant."""
    meant = {2: {3: "mixed on request"}, 35: {33: "as printed"}}
    rules = {int(number): text for number, text in RULES}
    found = {
        number: {int(other) for other in re.findall(r"\brules? (\d+)", text)}
        for number, text in rules.items()
    }
    assert {number: others for number, others in found.items() if others} == {
        number: set(others) for number, others in meant.items()
    }
    for others in meant.values():
        for other, words in others.items():
            assert words in " ".join(rules[other].split())


@pytest.mark.parametrize(("number", "text"), RULES, ids=[f"rule {number}" for number, _ in RULES])
def test_rule_names_tests_that_exist(number, text, functions):
    named = re.findall(r"`((?:tests/|test_)[\w/.]+)`", text)
    assert named, text
    for name in named:
        assert (ROOT / name).is_file() if name.endswith(".py") else name in functions, name
