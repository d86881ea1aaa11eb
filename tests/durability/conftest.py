"""Makes `harness`, what these tests share, importable, and gives worlds that are collected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from collections_at_work import world  # noqa: F401
