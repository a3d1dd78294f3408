"""Measure what a step costs on emulated chips, our kernels and others side by side; in Markdown.

    python tools/measure_firmware.py [--cmsis-nn FOLDER]
        [--tflm-headers FOLDER...] [--tflm m4=LIBRARY m55=LIBRARY]

The model is a GRU of 64 on 40 features.  FOLDER of CMSIS-NN has its Include and Source; the
headers of TensorFlow Lite Micro are those of tests/firmware/tflm_steps.py, and its LIBRARY was
compiled for the chip that is named, with what kernels it should have; as a release, without
its texts.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgernn.errors import BackendError
from firmware_export import chips, figures
from firmware_export.project import Source, c_project
from firmware_export.tflm import TARGETS, tflm_project
from tests.models import write_model

CMSIS_NN = ("FullyConnectedFunctions/arm_fully_connected_per_channel_s8.c",
            "NNSupportFunctions/arm_nn_vec_mat_mult_t_per_ch_s8.c")
ON_ARM = ("m3", "m4", "m7", "m55")
QUIET = """
#include <cstdarg>
#include <cstddef>
/* What TensorFlow Lite Micro says goes nowhere: printf is not part of its cost. */
extern "C" void DebugLog(const char *, va_list) {}
extern "C" int DebugVsnprintf(char *, size_t, const char *, va_list) { return 0; }
extern "C" void *_sbrk(int) { return nullptr; } /* there is no heap */
"""
"""Of a device: where the library's messages go is the application's business."""


def main() -> None:
    """Print a row for every profile, chip and set of kernels."""
    options = _options()
    print("| profile | chip | kernels | instructions per step | flash | state and scratch "
          "| stack |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:
        for profile in options.profiles:
            from edgernn.train.architecture import Layer
            source = Source.read(write_model(Path(folder) / f"{profile}.tflite", Layer("gru", 64),
                                             features=40, profile=profile))
            for kernels, chip, cost in _costs(source, options, Path(folder)):
                print(f"| {profile} | {chip.name} | {kernels} | {figures.cells(cost)} |",
                      flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", nargs="+", default=["int8", "int8x16", "int16x8"])
    parser.add_argument("--cmsis-nn", type=Path)
    parser.add_argument("--tflm-headers", nargs="+", default=[])
    parser.add_argument("--tflm", nargs="+", default=[], metavar="CHIP=LIBRARY")
    return parser.parse_args()


def _costs(source: Source, options: argparse.Namespace,
           folder: Path) -> Iterator[tuple[str, chips.Chip, figures.Cost]]:
    project = c_project(source, "kws", ["tools/measure_firmware.py"])
    for found in figures.figures(source, "kws", project):
        yield "ours", found.chip, found.step
    for found in figures.figures(source, "kws", project, ("-O2", "-DERNN_PORTABLE"), ON_ARM[1:]):
        yield "ours, C alone", found.chip, found.step
    if options.cmsis_nn and any(call.kernel.startswith("fc_s8") for call in source.plan.calls):
        sources = {f"ernn/{Path(name).name}": (options.cmsis_nn / "Source" / name).read_text()
                   for name in CMSIS_NN}
        # Their loads are calls of memcpy, unless the compiler knows what that is.
        flags = ("-O2", "-fbuiltin", "-DERNN_CMSIS_NN", f"-I{options.cmsis_nn / 'Include'}")
        for found in figures.figures(source, "kws", project | sources, flags, ON_ARM):
            yield "ours, matmuls by CMSIS-NN", found.chip, found.step
    for chip, library in (words.split("=", 1) for words in options.tflm):
        try:
            found = _of_tflm(source, chips.CHIPS[chip], options.tflm_headers, Path(library), folder)
        except BackendError as problem:  # its kernels of int16 want one scale for a whole matrix
            print(problem, file=sys.stderr)
            continue
        yield "TensorFlow Lite Micro", chips.CHIPS[chip], found


def _of_tflm(source: Source, chip: chips.Chip, headers: list[str], library: Path,
             folder: Path) -> figures.Cost:
    files = tflm_project(source, "kws", ["tools/measure_firmware.py"], TARGETS["tflm"])
    root = folder / f"{source.spec.profile}_{chip.machine}"
    root.mkdir()
    for path, text in files.items():
        if path.startswith("src/"):
            (root / Path(path).name).write_text(text if isinstance(text, str) else text.decode())
    (root / "quiet.cc").write_text(QUIET)
    objects = []
    for path in sorted(root.glob("*.cc")):
        objects.append(path.with_suffix(".o"))
        subprocess.run([f"{chip.prefix}g++", *chip.flags, "-O2", "-std=c++17", "-fno-rtti",
                        "-fno-exceptions", "-ffunction-sections", "-fdata-sections",
                        "-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_STRIP_ERROR_STRINGS", "-DNDEBUG",
                        *(f"-isystem{path}" for path in headers),
                        f"-I{root}", "-c", "-o", str(objects[-1]), str(path)], check=True)
    libraries = [library, *(_library(chip, f"lib{name}.a")
                            for name in ("stdc++", "m", "c", "nosys", "gcc"))]

    def made(**parts: bool) -> figures.Cost:
        which = "_".join(["program", *parts])
        (root / f"{which}.c").write_text(figures.program(source, "kws", "kws.h", **parts))
        elf = chips.build(chip, [root / f"{which}.c", *objects, *libraries], [root],
                          root / f"{which}.elf")
        return figures.cost(chip, elf, bool(parts))

    return figures.without(made(step=True), made())


def _library(chip: chips.Chip, name: str) -> Path:
    return Path(subprocess.run([f"{chip.prefix}gcc", *chip.flags, f"-print-file-name={name}"],
                               capture_output=True, text=True, check=True).stdout.strip())


if __name__ == "__main__":
    main()
