"""Faults between the operator and the API server, kills at every write, and what must hold then."""

from __future__ import annotations

import os

import pytest

long = pytest.mark.skipif(os.environ.get("CHAOS") != "long", reason="`make chaos` runs it")
"""Marks what takes longer than `make test` has for it."""
