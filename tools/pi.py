"""edgernn in a Debian of a Raspberry Pi, emulated, and every byte beside this machine's.

    python tools/pi.py [--arch arm64|armhf] [--processor NAME] [--quick] [--out FOLDER] [--fresh]

Makes a root of Debian 12 for that architecture with mmdebstrap, builds a wheel of this tree in
it, installs `edgernn[device]` there with its own pip, and runs models there and here.  Programs of
the root run under qemu-user with the root as their prefix: no binfmt, no chroot.  Only the C
compiler is this machine's: the root's Python calls it by its name.

Needs Debian 12 here too (its own package sources are read), and: apt install mmdebstrap
qemu-user-static gcc-aarch64-linux-gnu (armhf: gcc-arm-linux-gnueabihf), and the extra `train`,
which makes the models.  Prints tables in Markdown.  Exits with 1 if bytes differ that must not.
"""

import argparse
import contextlib
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

CODENAME = "bookworm"
PACKAGES = ["python3", "python3-pip", "libpython3.11-dev", "ca-certificates", "libstdc++6"]
STEPS = {"emulator": 100, "c": 2000, "litert": 2000, "tflite-runtime": 2000}
EXACT = ("emulator", "c")
"""Backends that promise the same bytes everywhere."""


@dataclass(frozen=True)
class Processor:
    """One of a Raspberry Pi."""

    name: str
    """As qemu calls it."""
    about: str
    part: str
    features: str
    """As Linux lists them."""

    def cpuinfo(self) -> str:
        """What Linux says of four of them in /proc/cpuinfo.

        LiteRT reads it and crashes on this machine's, which is all that qemu would show.
        """
        return "".join(f"processor\t: {i}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\n"
                       "CPU implementer\t: 0x41\nCPU architecture: "
                       f"{'8' if 'asimd' in self.features else '7'}\nCPU variant\t: 0x0\n"
                       f"CPU part\t: {self.part}\nCPU revision\t: 3\n\n" for i in range(4))


A53 = Processor("cortex-a53", "Raspberry Pi 3", "0xd03", "fp asimd evtstrm crc32 cpuid")
A72 = Processor("cortex-a72", "Raspberry Pi 4", "0xd08", "fp asimd evtstrm crc32 cpuid")
A76 = Processor("cortex-a76", "Raspberry Pi 5", "0xd0b",
                "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm "
                "lrcpc dcpop asimddp")
A7 = Processor("cortex-a7", "Raspberry Pi 2", "0xc07",
               "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm")


@dataclass(frozen=True)
class Machine:
    """An architecture that is emulated."""

    arch: str
    """As Debian calls it."""
    qemu: str
    compiler: str
    extras: str
    packages: tuple[str, ...]
    """Of Debian, beside `PACKAGES`."""
    processors: tuple[Processor, ...]
    """What qemu is told to be."""
    interpreter: str


MACHINES = {machine.arch: machine for machine in (
    Machine("arm64", "qemu-aarch64-static", "aarch64-linux-gnu-gcc", "device,audio,esphome", (),
            (A53, A72, A76), "litert"),
    # No wheels of numpy 1, of cffi or of libsndfile are for armhf; Debian has them.
    Machine("armhf", "qemu-arm-static", "arm-linux-gnueabihf-gcc", "device",
            ("python3-numpy", "python3-soundfile"), (A7,), "tflite-runtime"))}


class Root:
    """A Debian in a folder, whose programs run here."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.folder, self.machine = folder, machine
        self.python = folder / "usr/bin/python3.11"
        self._cpu = "max"

    def make(self) -> None:
        """Unpack it, if it is not there."""
        if self.python.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        # Nothing is configured, so nothing of the root has to run.
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={self.machine.arch}",
             f"--include={','.join((*PACKAGES, *self.machine.packages))}", CODENAME,
             str(self.folder), "-"], input="\n".join(sources()), text=True, check=True)
        # Links that configuring would have made, of Debian's numpy.
        for name in ("blas", "lapack"):
            for path in self.folder.glob(f"usr/lib/*/{name}/lib{name}.so.3"):
                (path.parent.parent / path.name).symlink_to(f"{name}/{path.name}")

    def become(self, processor: Processor) -> None:
        """What programs find from now on."""
        self._cpu = processor.name
        proc = self.folder / "proc"
        proc.mkdir(exist_ok=True)
        (proc / "cpuinfo").write_text(processor.cpuinfo())

    def run(self, *words: object, cwd: Path = PROJECT, path: Path | None = None
            ) -> subprocess.CompletedProcess[bytes]:
        """Run the root's Python; `path` is where it looks for modules first."""
        env = {key: value for key, value in os.environ.items()
               if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        env |= {"PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1", "QEMU_CPU": self._cpu}
        if path:
            env["PYTHONPATH"] = str(path)
        # The compiler is this machine's and finds its own C library; Python's headers it must be
        # told, which include one another from the root's /usr/include.
        env["CPPFLAGS"] = f"-idirafter {self.folder}/usr/include"
        done = subprocess.run([self.machine.qemu, "-L", str(self.folder), str(self.python),
                               *map(str, words)], cwd=cwd, env=env, capture_output=True)
        if done.returncode:
            raise SystemExit(f"{words} ended with {done.returncode} in {self.folder}:\n"
                             f"{done.stderr.decode(errors='replace')[-3000:]}")
        return done


def sources() -> Iterator[str]:
    """This machine's package sources for Debian 12 as it was released, one a line."""
    for path in sorted(Path("/etc/apt").glob("sources.list*/*.sources")):
        for stanza in path.read_text().split("\n\n"):
            entry = dict(re.findall(r"^([\w-]+):\s*(.+)$", stanza, re.MULTILINE))
            signed = f"[signed-by={entry['Signed-By']}] " if "Signed-By" in entry else ""
            if CODENAME in entry.get("Suites", "").split():
                yield f"deb {signed}{entry['URIs'].split()[0]} {CODENAME} {entry['Components']}"
    for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.list")):
        for line in path.read_text().splitlines() if path.exists() else ():
            if re.match(rf"deb\s.*\s{CODENAME}\s", line):
                yield line


def wheel(root: Root, work: Path) -> Path:
    """A wheel of this tree for the root, built by the root's Python."""
    tools, tree = work / "tools", work / "tree"
    if not tools.exists():
        root.run("-m", "pip", "install", "--quiet", "--no-warn-script-location", "--target", tools,
                 "setuptools>=77", "wheel")
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("edgernn", "firmware_export"):
        shutil.copytree(PROJECT / name, tree / name,
                        ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, tree)
    # Not by pip: it would start the root's Python once more, which this machine cannot.
    root.run("setup.py", "--quiet", "bdist_wheel", cwd=tree, path=tools)
    found, = (tree / "dist").glob("*.whl")
    return found


def prepare(folder: Path) -> None:
    """Models and frames for them, a recording, and wake words that hear it."""
    from compare_runtimes import make

    from edgernn import bundle

    make(folder)
    with contextlib.suppress(ImportError):
        import pymicro_wakeword

        shutil.copytree(Path(pymicro_wakeword.__file__).parent / "models", folder / "words")
    models = PROJECT / "edgernn/models"
    shutil.copy(models / "wakeword.tflite", folder / "demo.tflite")
    shutil.copy(models / "demo.wav", folder)
    for path in folder.glob("*.tflite"):
        whole = bundle.read(path)
        x = whole.graph.tensor(whole.spec.input)
        steps = np.random.default_rng(0).normal(0, 0.05, (max(STEPS.values()), x.shape[1]))
        frames = np.sin(np.cumsum(steps, axis=0)) * x.qtype.high
        np.save(path.with_suffix(".npy"), frames.astype(x.dtype))


def here(python: object, *words: object) -> bytes:
    """Run a Python of this machine in this tree."""
    return subprocess.run([str(python), *map(str, words)], cwd=PROJECT, check=True,
                          env={**os.environ, "PYTHONPATH": str(PROJECT)},
                          capture_output=True).stdout


def bytes_apart(one: Path, other: Path) -> tuple[int, int, int]:
    """Bytes compared, bytes that differ, and the largest difference of a value."""
    ours, theirs = np.load(one), np.load(other)
    assert set(ours) == set(theirs)
    total = apart = largest = 0
    for name in ours:
        a, b = (each[name][:min(len(ours[name]), len(theirs[name]))] for each in (ours, theirs))
        assert a.dtype == b.dtype
        if a.dtype.kind == "f":  # scores as reals, whose codes are compared too
            continue
        total += a.nbytes
        apart += int(np.count_nonzero(a.view(np.uint8) != b.view(np.uint8)))
        largest = max(largest, int(np.abs(a.astype(np.int64) - b).max(initial=0)))
    return total, apart, largest


def rows(ours: Path, theirs: Path, backend: str) -> Iterator[tuple[str, int]]:
    """A row of the table for all models that are equal, one for each that is not; bytes apart."""
    equal, together, refused = 0, 0, []
    for path in sorted(theirs.glob(f"*.{backend}.*")):
        model, mine = path.name.split(".")[0], ours / path.name
        if path.suffix == ".txt" or not mine.exists():
            refused.append(model)
            continue
        total, apart, largest = bytes_apart(mine, path)
        if apart:
            yield f"| {backend} | {model} | {total:,} | {apart:,} | {largest} |", apart
        else:
            equal, together = equal + 1, together + total
    if equal:
        yield f"| {backend} | {equal} models | {together:,} | 0 | 0 |", 0
    if refused:
        yield f"| {backend} | {', '.join(refused)} | refused there or not here | | |", 0


def main() -> None:
    """Do everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", choices=MACHINES, default="arm64")
    parser.add_argument("--processor", help="cortex-a53, cortex-a72, cortex-a76 or, of armhf, "
                                            "cortex-a7 (default: all of the architecture)")
    parser.add_argument("--quick", action="store_true",
                        help="a tenth of the steps, and one wake word")
    parser.add_argument("--out", type=Path, default=PROJECT / ".cache/pi")
    parser.add_argument("--tflite-runtime", type=Path, metavar="PYTHON",
                        default=PROJECT / ".venv-tflite-runtime/bin/python",
                        help="of this machine, with tflite-runtime, to compare armhf's with")
    parser.add_argument("--fresh", action="store_true", help="make the root again")
    given = parser.parse_args()
    machine = MACHINES[given.arch]
    if given.processor:
        machine = dataclasses.replace(machine, processors=tuple(
            one for one in machine.processors if one.name == given.processor))
    if not machine.processors:
        parser.error(f"{given.arch} has no {given.processor}")
    if not list(sources()):
        raise SystemExit(f"no package sources of Debian's {CODENAME} are in /etc/apt, which were "
                         "needed. Run this on a Debian 12")
    work = given.out.resolve() / machine.arch
    if given.fresh:
        shutil.rmtree(work, ignore_errors=True)
    for tool in ("mmdebstrap", machine.qemu, machine.compiler):
        if not shutil.which(tool):
            raise SystemExit(f"{tool} was not found; see the first lines of tools/pi.py for what "
                             "to install")
    root, clock = Root(work / "root", machine), Clock()
    root.make()
    clock.lap("root")
    made = wheel(root, work)
    clock.lap("wheel")
    root.run("-m", "pip", "uninstall", "--quiet", "--yes", "--break-system-packages", "edgernn")
    root.run("-m", "pip", "install", "--quiet", "--break-system-packages",
             "--no-warn-script-location", f"{made}[{machine.extras}]")
    clock.lap("pip install")
    steps = {name: count // 10 if given.quick else count for name, count in STEPS.items()}
    good = compare(root, work, given.tflite_runtime, steps, clock)
    print(f"Seconds: {clock}.")
    sys.exit(0 if good else 1)


def compare(root: Root, work: Path, old: Path, steps: dict[str, int], clock: "Clock") -> bool:
    """Print the tables; whether all is as it must be.

    `old` is a Python of this machine that has tflite-runtime; `steps` are those of each backend.
    """
    folder, ours, machine, good = work / "models", work / "here", root.machine, True
    for past in (folder, ours, *work.glob("there-*")):
        shutil.rmtree(past, ignore_errors=True)
    prepare(folder)
    if steps != STEPS:
        for path in sorted((folder / "words").glob("*.json"))[1:]:
            path.unlink()
    backends = (*EXACT, machine.interpreter)
    wanted = [f"{name}={steps[name]}" for name in backends]
    script = PROJECT / "tools/pi_steps.py"
    here(sys.executable, script, folder, ours, "frontend", *wanted)
    if machine.interpreter == "tflite-runtime" and old.exists():  # which wants a numpy of its own
        here(old, script, folder, ours, wanted[-1])
    clock.lap("models, and here")
    for processor in machine.processors:
        root.become(processor)
        theirs = work / f"there-{processor.name}"
        about = root.run(script, folder, theirs, "frontend", *wanted, cwd=work).stdout.decode()
        print(f"\n{processor.about} ({processor.name}): {about.strip()}.\n\n| backend | what "
              "| bytes | that differ | largest difference |\n|---|---|---|---|---|")
        for backend in backends:
            for row, apart in rows(ours, theirs, backend):
                print(row, flush=True)
                good &= not apart or backend not in EXACT
        total, apart, _ = bytes_apart(ours / "demo.frontend.npz", theirs / "demo.frontend.npz")
        print(f"| | log-mel of demo.wav, kernels and numpy | {total:,} | {apart:,} | |")
        good &= streams(root, folder) and apart == 0
        clock.lap(processor.name)
    return good


def streams(root: Root, folder: Path) -> bool:
    """Rows for `edgernn stream` itself: every line that it prints of a recording."""
    good, recording = True, folder / "demo.wav"
    runs = [(folder / "demo.tflite", backend) for backend in (*EXACT, root.machine.interpreter)]
    if "esphome" in root.machine.extras:
        runs += [(path, "auto") for path in sorted((folder / "words").glob("*.json"))]
    for model, backend in runs:
        words = ["stream", "--model", model, "--input", recording, "--scores", "--backend", backend]
        what = f"| {backend} | edgernn stream, {model.name}, demo.wav"
        try:
            ours = here(sys.executable, "-m", "edgernn", *words)
        except subprocess.CalledProcessError:
            print(f"{what} | not here | | |")
            continue
        theirs = root.run(root.folder / "usr/local/bin/edgernn", *words).stdout
        lines = zip(ours.splitlines(), theirs.splitlines(), strict=True)
        print(f"{what} | {len(ours):,} | {sum(a != b for a, b in lines):,} lines | |", flush=True)
        good &= ours == theirs or backend not in EXACT
    return good


class Clock:
    """Seconds that things took."""

    def __init__(self) -> None:
        self._laps: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        """What was done since the last lap."""
        now = time.perf_counter()
        self._laps[name], self._since = now - self._since, now

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.0f}" for name, seconds in self._laps.items())


if __name__ == "__main__":
    main()
