"""A live source whose stdout nobody reads, run by test_sinks.py: prints its summary to stderr."""

import json
import sys
import time

import numpy as np

from edgernn.cli.sinks import Sinks, WantedSinks
from edgernn.cli.stream import _until_stopped

wanted = WantedSinks(None, False, 1.0, None, 1.0)
sinks = Sinks(wanted, tuple(f"label{i}" for i in range(20)), live=True, recorded=False)
with sinks, _until_stopped():
    for step in range(10**9):
        sinks.scores(np.zeros(20, np.float32), step / 50)
        time.sleep(0.0005)
        if step == 2000:
            print("ready", file=sys.stderr, flush=True)
print(json.dumps({"dropped": sinks.dropped}), file=sys.stderr)
