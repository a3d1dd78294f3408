"""A private PulseAudio whose microphone hears what is played to it."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest

NEEDS = "sudo apt install libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils"


class Pulse:
    """A daemon in its own folder: touches no other sound server, knows no other user.

    Another one in the same folder is the same microphone, plugged in again.
    """

    def __init__(self, folder, rate=16000, channels=1):
        if not (shutil.which("pulseaudio") and shutil.which("paplay")):
            pytest.skip(f"the microphone test plays through PulseAudio: {NEEDS}")
        socket = folder / "native"
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder),
                            "PULSE_SERVER": f"unix:{socket}"}
        # Run here as any user, root included; -n reads no configuration of the system.
        self._log = (folder / "log").open("ab")
        self._daemon = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
             f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1",
             f"--load=module-null-sink sink_name=out rate={rate} channels={channels}"],
            env=self.environment, stdout=self._log, stderr=self._log)
        for _ in range(100):
            if subprocess.run(["pactl", "info"], env=self.environment, capture_output=True,
                              check=False).returncode == 0:
                break
            time.sleep(0.1)
        else:
            self.close()
            raise AssertionError(f"pulseaudio did not start: {(folder / 'log').read_text()[-800:]}")

    def play(self, path):
        """Play a recording to its end."""
        subprocess.run(["paplay", "--device=out", str(path)], env=self.environment, check=True,
                       timeout=60)

    def unplug(self):
        """Take the microphone away, as pulling its cable does."""
        self._daemon.send_signal(signal.SIGKILL)
        self._daemon.wait()

    def close(self):
        """End the daemon."""
        with contextlib.suppress(ProcessLookupError):
            self._daemon.kill()
        self._daemon.wait()
        self._log.close()
