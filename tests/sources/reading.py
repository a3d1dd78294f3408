"""A live source that is read while a test does other things."""

import threading

from tests.broker import until


class Reading:
    """Frames of a source, taken in a thread of their own."""

    def __init__(self, source):
        self.source, self.frames, self.problem = source, [], None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            for frame in self.source:
                self.frames.append(frame)
        except Exception as problem:
            self.problem = problem

    @property
    def rows(self):
        return [frame.samples[0].tolist() for frame in list(self.frames)]

    def until(self, count):
        until(lambda: len(self.frames) >= count or self.problem)
        assert self.problem is None

    def close(self):
        self.source.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
