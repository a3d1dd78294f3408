"""The soak, shorter: two hours of audio with every fault there is."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parent.parent / "tools" / "soak.py"


@pytest.mark.slow
def test_two_hours_of_faults_lose_nothing_that_is_not_counted():
    pytest.importorskip("soundfile")
    done = subprocess.run([sys.executable, str(SOAK), "--hours", "2", "--seed", "1"],
                          capture_output=True, text=True, timeout=500)
    assert "does not hold" not in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert "600 undisturbed" in done.stdout
