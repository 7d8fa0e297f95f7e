"""`python -m tests.images`: builds the images of the operator, of the host, and of a plugin."""

from __future__ import annotations

import argparse
import gzip
import os
import sys
from pathlib import Path

from tests.bed.shell import CommandError
from tests.cluster import archive
from tests.cluster.progress import say
from tests.images import buildah, docker, inputs, machine, store
from tests.images.errors import ImageError
from tests.images.store import Built


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser(
        "build", help="build what has changed; prints image, tar, tag, size"
    )
    build.add_argument("--target", choices=(*inputs.TARGETS, "all"), default="all")
    build.add_argument("--fresh-base", action="store_true", help="with Debian's latest packages")
    commands.add_parser("sizes", help="print the sizes of the images, on disk and compressed")
    plugin = commands.add_parser("plugin", help="put a plugin's files into an image, at /plugin")
    plugin.add_argument("folder", type=Path, metavar="FOLDER")
    plugin.add_argument("tag", metavar="TAG")
    plugin.add_argument("archive", type=Path, metavar="OUT.tar")
    return parser


def build(target: str) -> Built:
    """Build one image unless the cache has it.

    Raises:
        ImageError: the build failed.
    """
    with store.one_at_a_time():
        with_docker = machine.has_docker()
        base = docker.BASE if with_docker else buildah.base_id()
        built = Built(target, inputs.fingerprint(target, base))
        if not built.archive.exists():
            make = docker.build if with_docker else buildah.build
            make(target, built.tag, built.archive)
        os.utime(built.archive)
        store.prune(target)
    return built


def _act(options: argparse.Namespace) -> None:
    match options.command:
        case "plugin":
            _plugin(options.folder, options.tag, options.archive)
        case "sizes":
            for target in inputs.TARGETS:
                _print_sizes(build(target))
        case _:
            if options.fresh_base:
                buildah.forget_base()
            for target in inputs.TARGETS if options.target == "all" else (options.target,):
                built = build(target)
                print(target, built.archive, built.tag, built.size, flush=True)


def _plugin(folder: Path, tag: str, target: Path) -> None:
    files = {
        f"plugin/{path.relative_to(folder)}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    if not files:
        raise ImageError(f"{folder} holds no files")
    archive.write(target, tag, files)


def _print_sizes(built: Built) -> None:
    compressed = len(gzip.compress(built.archive.read_bytes(), compresslevel=6))
    sizes = f"{built.size / 1e6:7.1f} MB of files, {compressed / 1e6:6.1f} MB compressed"
    print(f"{built.target:<10}{sizes}  {built.tag}", flush=True)


def main() -> int:
    """Run one command; 0 for success."""
    options = _parser().parse_args()
    try:
        _act(options)
    except (ImageError, CommandError) as error:
        say(f"images: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
