"""The one error that the command line prints without a traceback."""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says why and what helps."""
