"""Feed every reader with damaged input, guided by coverage, and see whether anything breaks.

    python tools/fuzz.py TARGET... [--seconds 1800] [--corpus FOLDER]

TARGET is `model` (the .tflite and edgernn.json behind it, opened and stepped), `json`
(edgernn.json alone), `foreign` (a .tflite without it, its states found), `wav`, `rows`, `states`
(a --state-file), `events` (of Wyoming), or `firmware` (the exported C: samples, frames and
detections in any order, under AddressSanitizer and UBSan).  Several readers share one run and
its time: the first byte of an input then says which of them gets the rest.

An EdgernnError is the right answer to damage; any other exception, a signal, or a hang of ten
seconds is a defect: it is printed, the input is left as crash-*, and the exit code is not 0.  The
readers in Python are fuzzed with atheris (``pip install atheris``), the C with libFuzzer (clang).
"""

import argparse
import contextlib
import copy
import io
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

MODELS = Path(__file__).resolve().parent.parent / "edgernn" / "models"

HARNESS = r"""
#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include "kws_model.h"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static kws_state state;
    static kws_logmel frontend;
    static kws_detector detector;
    kws_feature frame[KWS_FEATURES];
    kws_score scores[KWS_LABELS];
    int16_t codes[KWS_MELS], samples[512];
    kws_detection found;
    size_t at = 0;
    kws_reset(&state);
    kws_logmel_reset(&frontend);
    kws_detect_reset(&detector);
    memset(scores, 0, sizeof scores);
    while (at < size) {
        const uint8_t what = data[at++];
        const size_t left = size - at;
        if (what < 128) { /* samples */
            size_t n = what * 4u < left / 2 ? what * 4u : left / 2, done = 0;
            memcpy(samples, &data[at], 2 * n);
            at += 2 * n;
            while (done < n) {
                int ready;
                done += kws_logmel_push(&frontend, &samples[done], n - done, codes, &ready);
            }
        } else if (what < 224) { /* a frame */
            size_t n = left < sizeof frame ? left : sizeof frame;
            memset(frame, 0, sizeof frame);
            memcpy(frame, &data[at], n);
            at += n;
            (void)kws_step(&state, frame, scores);
            (void)kws_detect_push(&detector, scores, &found);
        } else if (what < 232) {
            (void)kws_logmel_flush(&frontend, codes);
        } else if (what < 240) {
            kws_reset(&state);
        } else if (what < 248) {
            kws_detect_reset(&detector);
        } else {
            kws_logmel_reset(&frontend);
        }
    }
    return 0;
}
"""


def model(data: bytes) -> None:
    """A model file: what opens must also step."""
    import numpy as np

    from edgernn import bundle
    from edgernn.step import StepModel

    parts = bundle.parse(data)
    opened = StepModel.load(parts, "emulator")
    opened.step(np.zeros(opened.width, opened.graph.tensor(opened.spec.input).dtype))


def unsigned_model(data: bytes) -> None:
    """The same with edgernn.json and its digest taken from the model that was damaged."""
    import dataclasses

    from edgernn import bundle
    from edgernn.bundle import sha256

    if b"PK\x05\x06" in data:  # `attach` would go on with that archive: no graph of ours has one
        return
    whole = _bundled()
    spec = dataclasses.replace(whole.spec, model_sha256=sha256(data).hexdigest())
    model(bundle.attach(data, spec))


def _bundled() -> object:
    from edgernn import bundle

    return bundle.read(MODELS / "voice.tflite")


def spec_json(data: bytes) -> None:
    """edgernn.json, and the frontend and detector that it asks for."""
    from edgernn import spec
    from edgernn.detect import Detector
    from edgernn.frontend import make_frontend

    found = spec.from_json(data)
    make_frontend(found.frontend)
    if found.detector:
        Detector(found.detector, found.labels, 20.0)


def foreign(data: bytes) -> None:
    """A .tflite that edgernn did not write."""
    from edgernn import bundle
    from edgernn.step import StepModel

    path = _file(data, ".tflite")
    StepModel.load(bundle.read(path), "emulator")


def wav(data: bytes) -> None:
    """A recording, read to its end."""
    from edgernn.sources.wav import WavSource

    with WavSource(_file(data, ".wav"), 16000, 1600) as source:
        for _ in source:
            pass


def rows(data: bytes) -> None:
    """Sensor rows of two columns, read to their end."""
    from edgernn.sources.rows import RowSource

    text = io.StringIO(data.decode("utf-8", "replace"))
    with RowSource(text, 2, 10.0) as source:
        for _ in source:
            pass


def states(data: bytes) -> None:
    """A file of states."""
    from edgernn import state_file
    from edgernn.step import StepModel
    from edgernn.stream import Listener

    if not _LISTENERS:
        _LISTENERS["voice"] = Listener(StepModel.load(_bundled(), "emulator"))
    state_file.restore(_file(data, ".states"), _LISTENERS)


def events(data: bytes) -> None:
    """What a client of the wake word server sends."""
    import asyncio

    from edgernn.serve.events import read_event

    async def read_all() -> None:
        stream = asyncio.StreamReader()
        stream.feed_data(data)
        stream.feed_eof()
        while await read_event(stream) is not None:
            pass

    with contextlib.suppress(asyncio.IncompleteReadError):  # said to be raised at a cut
        asyncio.run(read_all())


_LISTENERS: dict = {}
_FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))

TARGETS: dict[str, Callable[[bytes], None]] = {
    "model": model, "graph": unsigned_model, "json": spec_json, "foreign": foreign, "wav": wav,
    "rows": rows, "states": states, "events": events}


def _file(data: bytes, suffix: str) -> Path:
    path = _FOLDER / f"input{suffix}"
    path.write_bytes(data)
    return path


def seeds(target: str) -> Iterator[bytes]:
    """Whole inputs, from which damage begins."""
    whole = (MODELS / "voice.tflite").read_bytes()
    if target == "model":
        yield whole
    elif target in ("graph", "foreign"):
        yield _bundled().flatbuffer
    elif target == "json":
        from edgernn import bundle, spec

        for path in sorted(MODELS.glob("*.tflite")):
            yield spec.to_json(bundle.read(path).spec).encode()
    elif target == "wav":
        yield (MODELS / "demo.wav").read_bytes()[:40_000]
    elif target == "rows":
        yield b'x,y\n1,2\n{"time": 0.1, "x": 1, "y": 2}\n[[1, 2], [3, 4]]\nnan,1\n'
    elif target == "states":
        from edgernn import state_file
        from edgernn.step import StepModel
        from edgernn.stream import Listener

        state_file.save(_FOLDER / "seed", {"voice": Listener(StepModel.load(_bundled(),
                                                                              "emulator"))})
        yield (_FOLDER / "seed").read_bytes()
    elif target == "events":
        yield b'{"type": "describe"}\n{"type": "audio-chunk", "data_length": 2, ' \
              b'"payload_length": 4}\n{}abcd{"type": "audio-stop", "data": {"timestamp": 1}}\n'
    elif target == "firmware":
        yield bytes(range(256)) * 40


ODD = (None, True, False, 0, -1, 0.5, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"),
       "", "kind", "logmel", "é\ud800", [], {}, [[]], {"kind": "tokens"}, [0] * 5)
"""What a value of edgernn.json may be replaced by."""


def damage_json(data: bytes, longest: int, seed: int) -> bytes:
    """One place of the tree changed, in half of the inputs: bytes at random are seldom JSON."""
    import atheris

    chance = random.Random(seed)
    try:
        tree = json.loads(data)
        if not isinstance(tree, (dict, list)) or chance.random() < 0.5:
            return atheris.Mutate(data, longest)
        at, key = chance.choice(list(_places(tree)))
        change = chance.randrange(4)
        if change == 0:
            del at[key]
        elif change == 1:
            at[key] = chance.choice(ODD)
        elif change == 2:  # a value from elsewhere in the tree
            other, its_key = chance.choice(list(_places(tree)))
            at[key] = copy.deepcopy(other[its_key])
        elif isinstance(at, dict):
            at[chance.choice(["kind", "format", "parts", "", key + "2"])] = at.pop(key)
        else:
            at.insert(key, copy.deepcopy(at[key]))
        damaged = json.dumps(tree).encode()
    except (ValueError, RecursionError, IndexError):  # not JSON, or nothing in it
        return atheris.Mutate(data, longest)
    return damaged if len(damaged) <= longest else atheris.Mutate(data, longest)


def _places(tree: object) -> Iterator[tuple]:
    """Every value below `tree`, as what holds it and its key there."""
    for key in tree if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from _places(tree[key])


def plant(targets: list[str], corpus: Path) -> None:
    """Write the seeds, of several targets with the byte before them that chooses."""
    for which, target in enumerate(targets):
        for number, seed in enumerate(seeds(target)):
            chosen = bytes([which]) if len(targets) > 1 else b""
            (corpus / f"seed-{target}{number}").write_bytes(chosen + seed)


def fuzz_python(targets: list[str], seconds: int, corpus: Path) -> None:
    """Until the time is over, or something breaks."""
    import atheris

    with atheris.instrument_imports(include=["edgernn"]):
        import edgernn.bundle
        import edgernn.emulator
        import edgernn.foreign
        import edgernn.serve.events
        import edgernn.sources.rows
        import edgernn.sources.wav
        import edgernn.state_file
        import edgernn.step  # noqa: F401
        from edgernn.errors import EdgernnError
    runs = [TARGETS[target] for target in targets]
    plant(targets, corpus)  # only now: what was imported before would not be watched
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - what readers say of bad rows

    def one(data: bytes) -> None:
        if len(runs) > 1:
            run, data = runs[(data[0] if data else 0) % len(runs)], data[1:]
        else:
            run = runs[0]
        with contextlib.suppress(EdgernnError):
            run(data)

    mutator = {"custom_mutator": damage_json} if targets == ["json"] else {}
    atheris.Setup([sys.argv[0], str(corpus), f"-max_total_time={seconds}", "-timeout=10",
                   "-rss_limit_mb=3000", "-max_len=150000", "-print_final_stats=1"], one, **mutator)
    atheris.Fuzz()


def fuzz_firmware(seconds: int, corpus: Path) -> int:
    """The same for the exported C."""
    from firmware_export.project import Source, c_project

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = c_project(Source.read(MODELS / "wakeword.tflite"), "kws", ["tools/fuzz.py"])
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text if isinstance(text, str) else text.decode())
        (folder / "fuzz.c").write_text(HARNESS)
        sources = [str(folder / path) for path in files
                   if path.endswith(".c") and Path(path).name != "main.c"]
        subprocess.run(["clang", "-O1", "-g", "-std=c99", "-fsanitize=fuzzer,address,undefined",
                        "-fno-sanitize-recover=all", f"-I{folder}", f"-I{folder / 'ernn'}",
                        str(folder / "fuzz.c"), *sources, "-o", str(folder / "fuzz")], check=True)
        return subprocess.run([str(folder / "fuzz"), str(corpus), f"-max_total_time={seconds}",
                               "-timeout=10", "-max_len=20000", "-print_final_stats=1"]).returncode


def main() -> None:
    """Fuzz one target, or several readers in turns."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", metavar="TARGET", choices=(*TARGETS, "firmware"))
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--corpus", type=Path, help="kept between runs (default: a new one)")
    chosen = parser.parse_args()
    corpus = chosen.corpus or Path(tempfile.mkdtemp())
    corpus.mkdir(parents=True, exist_ok=True)
    if chosen.targets == ["firmware"]:
        plant(chosen.targets, corpus)
        sys.exit(fuzz_firmware(chosen.seconds, corpus))
    if "firmware" in chosen.targets:
        parser.error("firmware is C and runs alone: name it by itself")
    fuzz_python(chosen.targets, chosen.seconds, corpus)


if __name__ == "__main__":
    main()
