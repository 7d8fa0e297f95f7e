from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.verify.digest import tree_digest

PATHS = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,3}", fullmatch=True)


def test_is_the_hash_of_sorted_lines() -> None:
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"one", b"two"))
    lines = "".join(sorted([f"{one} b/one.py\n", f"{two} a.py\n"]))
    expected = "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
    assert tree_digest({"b/one.py": b"one", "a.py": b"two"}) == expected


def test_an_empty_tree_has_a_digest() -> None:
    assert tree_digest({}) == "sha256:" + hashlib.sha256(b"").hexdigest()


def test_the_shell_line_of_the_documentation_agrees(tmp_path: Path) -> None:
    files = {"a.py": b"x = 1\n", "b.py": b"", "z-ä.txt": b"\x00\xff"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    line = "sha256sum * | sed 's/  / /' | LC_ALL=C sort | sha256sum"
    out = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert tree_digest(files) == "sha256:" + out.split()[0]


@given(st.dictionaries(PATHS, st.binary(max_size=32), max_size=6))
def test_the_order_of_files_does_not_matter(files: dict[str, bytes]) -> None:
    assert tree_digest(files) == tree_digest(dict(reversed(files.items())))


@given(st.dictionaries(PATHS, st.binary(max_size=32), min_size=1, max_size=6), st.data())
def test_any_change_of_name_or_content_shows(files: dict[str, bytes], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(files)))
    before = tree_digest(files)
    assert tree_digest({**files, path: files[path] + b"!"}) != before
    assert tree_digest({**files, path + "-copy": files[path]}) != before
    renamed = {(path + "-new" if name == path else name): body for name, body in files.items()}
    assert tree_digest(renamed) != before
