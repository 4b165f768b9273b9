"""Parts of `make bench-lifecycle`. What kills stores, looks at them and speaks as S3 does, the tests have: their folder is on the path."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path.insert(0, str(TESTS))
