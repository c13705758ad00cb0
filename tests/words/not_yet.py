"""What the tests of words ask for and the code does not give yet."""

import pytest

NOT_YET = pytest.mark.skip(reason="asks for the one plan of chunks and what comes with it")
"""Marks the tests that fail until then. Nothing is expected to fail: the mark goes, and the test holds."""
