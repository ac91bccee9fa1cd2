"""Where things are: the tree, the build under test, the place for what the tests compile."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SANDLOCK_BUILD", ROOT / "build" / "release")).resolve()
SANDLOCK = BUILD / "sandlock"
GATEWAY = BUILD / "sandlock-gateway"
TESTS = ROOT / "tests"
# compiled once, outside the build under test: sanitizers must not leak into attack programs
BIN = Path(os.environ.get("SANDLOCK_TEST_BIN", ROOT / "build" / f"test-bin-{os.getuid()}"))
