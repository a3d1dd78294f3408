"""PortAudio's own troubles, in processes of their own."""

import ctypes
import os
import subprocess
import sys

import pytest

from tests.sources.pulse import NEEDS

pytest.importorskip("sounddevice", reason=f'pip install "edgernn[audio]" && {NEEDS}')

OPEN_WHAT_IS_NOT_THERE = """
import ctypes
from edgernn.sources import portaudio
with portaudio._quiet_alsa():
    ctypes.CDLL("libasound.so.2").snd_pcm_open(ctypes.byref(ctypes.c_void_p()), b"hw:77", 1, 0)
"""


def run(*arguments, **environment):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})


def test_alsa_says_nothing_of_devices_that_are_not_there():
    try:
        ctypes.CDLL("libasound.so.2")
    except OSError:
        pytest.skip("this system has no ALSA")
    assert run("-c", OPEN_WHAT_IS_NOT_THERE).stderr == ""
    loud = OPEN_WHAT_IS_NOT_THERE.replace("with portaudio._quiet_alsa():", "if True:")
    assert "ALSA lib" in run("-c", loud).stderr


def test_a_wrong_asoundrc_is_one_clear_error(tmp_path):
    (tmp_path / ".asoundrc").write_text("pcm.wrong {")
    done = run("-m", "edgernn", "devices", HOME=str(tmp_path))
    assert done.returncode == 1
    assert "PortAudio cannot look for devices" in done.stderr
    assert "asoundrc" in done.stderr
    assert len(done.stderr.splitlines()) == 1
