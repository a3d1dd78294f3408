"""A serial device made of a pair of pseudo-terminals, which can be unplugged."""

import os
import tty


class Device:
    """What a program opens as a serial port, under a name that stays."""

    def __init__(self, folder):
        self.path = folder / "ttyACM0"
        self._ours = None
        self.plug()

    def plug(self):
        """Plug it in, or in again: the system gives it a new file."""
        self._ours, theirs = os.openpty()
        tty.setraw(theirs)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(theirs))
        os.close(theirs)

    def unplug(self):
        """Pull it out: who reads it gets an error."""
        self.path.unlink(missing_ok=True)
        os.close(self._ours)
        self._ours = None

    def send(self, data):
        """Print, as a board does."""
        data = data.encode() if isinstance(data, str) else data
        while data:
            data = data[os.write(self._ours, data):]

    def close(self):
        if self._ours is not None:
            self.unplug()
