"""What a fresh process pays: time and memory, from the import to the first answer."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import BackendError

# numpy first, so that nothing of it is counted as ours that every program of numpy pays.
FRESH = """
import json, sys, time
def cost(begin):
    took = time.perf_counter() - begin
    # Not getrusage: its peak includes that of the process this one was forked from.
    with open("/proc/self/status") as status:
        kilobytes = [int(line.split()[1]) for line in status if line.startswith("VmRSS")]
    return [took, kilobytes[0] / 1024]
begin = time.perf_counter()
import numpy
found = [cost(begin)]
import edgernn.step, edgernn.stream
found.append(cost(begin))
model = edgernn.step.StepModel.open(sys.argv[1], sys.argv[2])
found.append(cost(begin))
listener = edgernn.stream.Listener(model)
hop, rate = listener.frontend.hop, int(listener.rate_hz)
audio = hasattr(model.spec.frontend, "sample_rate_hz")
shape = (hop,) if audio else (hop, listener.frontend.width)
sound = numpy.zeros(shape, numpy.int16 if audio else numpy.float32)
from edgernn.frames import Frame
while not listener.summary.steps:
    list(listener.push(Frame(sound, 0.0)))
found.append(cost(begin))
for _ in range(1000):
    list(listener.push(Frame(sound, 0.0)))
found.append(cost(begin))
print(json.dumps(found))
"""
MOMENTS = ("numpy", "imported", "loaded", "answered", "ran")


def startup_cost(path: Path, backend: str) -> dict[str, Any]:
    """Seconds since the start, and resident megabytes, at five moments: the best of three.

    They are: numpy is imported; edgernn is; the model is open; the first scores are there;
    a thousand steps later.
    """
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", FRESH, str(path), backend],
                              capture_output=True, text=True)
        if done.returncode:
            raise BackendError(f"a fresh process could not run the model: {done.stderr.strip()}")
        runs.append(json.loads(done.stdout))
    best = np.min(runs, axis=0)
    return {name: {"seconds": round(seconds, 3), "megabytes": round(megabytes, 1)}
            for name, (seconds, megabytes) in zip(MOMENTS, best, strict=True)}
