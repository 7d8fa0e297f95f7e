"""The example plugins are loose modules, imported as their author's own tests would."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

sys.path.extend(str(path) for path in sorted((REPOSITORY / "plugins").iterdir()) if path.is_dir())
