"""Makes ``original`` importable for the tests beside it."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("Box2D")
sys.path.insert(0, str(Path(__file__).parent))
