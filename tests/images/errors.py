"""What can go wrong when images are built."""

from __future__ import annotations


class ImageError(Exception):
    """An image could not be built; the message says why and what to do."""
