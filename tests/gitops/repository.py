"""A Git repository in a folder: what Argo CD reads by a file:// address."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bed import shell

AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Platform"), ("EMAIL", "platform@example.com"))
}


class Repository:
    """A repository with one branch, `main`.

    Args:
        folder: Of its files; must not exist yet.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        """The address that an Application names."""
        return f"file://{self.folder}"

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def copy(self, source: Path, path: str) -> None:
        """Copy a folder."""
        shutil.copytree(source, self.folder / path)

    def replace(self, path: str, before: str, after: str) -> None:
        """Change a text in a file; LookupError when the file does not have it."""
        text = (self.folder / path).read_text()
        if before not in text:
            raise LookupError(f"{path} does not have {before!r}")
        self.write(path, text.replace(before, after))

    def commit(self, message: str) -> str:
        """Commit all and return the commit's digest."""
        self._git("add", "--all")
        self._git("commit", "--quiet", f"--message={message}")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *words: str) -> str:
        return shell.run("git", "-C", self.folder, *words, environment=AUTHOR).stdout
