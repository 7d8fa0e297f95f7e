"""What the documents say is there, is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bed.shell import REPOSITORY

PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
CODE = re.compile(r"```console\n(.*?)```|`([^`\n]+)`", re.DOTALL)
MADE = re.compile(r"\bmake ([a-z][a-z-]*)")


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_in_code_exists(page: Path) -> None:
    blocks = re.findall(
        r"```console\n(.*?)```|`([^`\n]+)`", page.read_text(encoding="utf-8"), re.DOTALL
    )
    named = {target for block in blocks for text in block for target in MADE.findall(text)}
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert {each for each in named if not re.search(rf"^{each}:", makefile, re.MULTILINE)} == set()


def test_each_table_of_measurements_has_its_picture() -> None:
    page = (REPOSITORY / "docs/benchmarks.md").read_text(encoding="utf-8")
    tables = {
        name
        for name, body in re.findall(r"<!-- begin ([\w-]+) -->(.*?)<!-- end", page, re.DOTALL)
        if "\n|" in body
    }
    pictures = re.findall(r"\]\(benchmarks/([\w-]+)\.svg\)", page)
    assert "calls-goals" in tables
    assert tables - {"control", "control-rest"} <= set(pictures)  # those are of another bench
