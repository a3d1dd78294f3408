"""A tutorial's commands, run one after another, and what they print beside what is shown.

    python -m tests.docs.tutorial docs/tutorials/NAME.md --write

puts what was printed in the place of what is shown.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
NOISE = re.compile(r"WARNING: All log messages before absl|[IWE]0000 \d\d:\d\d")
"""What TensorFlow says for itself while it is imported."""
WIDEST = 110
"""Longer lines are left out of a page."""
OPERATOR = re.compile(r"\b(?:FULLY_CONNECTED|LOGISTIC|SOFTMAX|BATCH_MATMUL|MUL|RESHAPE)\b")
TIME = re.compile(r"\bin \d+ s\b")
"""How long it took, which is left out of the comparison."""
LEFT_OUT = "..."
"""A line of a tutorial that stands for any number of lines."""
SHARE, BESIDE = 0.25, 0.06
"""Numbers that training gave differ from CPU to CPU: by a quarter, or by this much."""


@dataclass(frozen=True)
class Step:
    """One command, and the lines that are shown of what it prints."""

    command: str
    shown: tuple[str, ...]


def steps(page: str) -> list[Step]:
    """Every command of a page, in order."""
    return [step for block in BLOCK.findall(page) for step in _of_block(block)]


def _of_block(block: str) -> list[Step]:
    found: list[Step] = []
    lines = iter(block.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            found[-1] = replace(found[-1], shown=(*found[-1].shown, line))
            continue
        command = [line[2:]]
        while command[-1].endswith("\\") or (
                "<<'END'" in command[0] and command[-1] != "END"):
            command.append(next(lines))
        found.append(Step("\n".join(command), ()))
    return found


class Shell:
    """Runs commands in a folder of its own, with this Python's `edgernn` first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._groups: list[int] = []
        self._environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "100"}

    def run(self, command: str) -> tuple[int, list[str]]:
        """Exit code, and the lines of stdout and stderr; what goes on in the background may."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                ["bash", "-c", command], cwd=self.folder, env=self._environment, stdout=output,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
            self._groups.append(process.pid)
            code = process.wait(timeout=300)
            output.seek(0)
            return code, [line.rstrip() for line in output.read().splitlines()
                          if not NOISE.match(line)]

    def close(self) -> None:
        """End whatever is still in the background."""
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


def differing(shown: tuple[str, ...], printed: list[str]) -> list[str]:
    """Lines that are shown and were not printed, or printed and neither shown nor left out.

    In order, one for one; `LEFT_OUT` stands for any number of lines.  Blank lines are nothing.
    """
    wrong, skipping = [], False
    left = [line for line in printed if line.strip()]
    for line in (line for line in shown if line.strip()):
        if line.strip() == LEFT_OUT:
            skipping = True
            continue
        if skipping:
            while left and not alike(line, left[0]):
                del left[0]
        if left and alike(line, left[0]):
            del left[0]
        else:
            wrong.append(line)
        skipping = False
    return wrong + ([] if skipping else left)


def alike(shown: str, printed: str) -> bool:
    """Whether two lines say the same, but for how exact their numbers are."""
    shown, printed = (TIME.sub("", line) for line in (shown, printed))
    words = [" ".join(re.sub(r"[─━┄]+", "─", NUMBER.sub("#", line)).split())
             for line in (shown.rstrip(), printed)]
    if words[0] != words[1]:
        return False
    numbers = [[float(number.replace(",", "")) for number in NUMBER.findall(line)]
               for line in (shown, printed)]
    if OPERATOR.search(shown):
        return numbers[0] == numbers[1]  # what a graph is made of, no training decides
    return all(abs(a - b) <= max(BESIDE, SHARE * abs(a)) for a, b in zip(*numbers, strict=True))


def rewritten(page: str, shell: Shell) -> str:
    """The page with what its commands print now; what is too wide is left out."""
    def block(match: "re.Match[str]") -> str:
        lines: list[str] = []
        for step in _of_block(match[1]):
            code, printed = shell.run(step.command)
            if code:
                raise SystemExit(f"{step.command}\n{code}: " + "\n".join(printed))
            kept = [line if len(line) <= WIDEST else LEFT_OUT for line in printed if line.strip()]
            lines += [f"$ {step.command}", *kept]
        return "```console\n" + "\n".join(lines) + "\n```"

    return BLOCK.sub(block, page)


def main() -> None:
    """Rewrite pages."""
    for name in (name for name in sys.argv[1:] if name != "--write"):
        with tempfile.TemporaryDirectory() as folder:
            shell = Shell(Path(folder))
            link_data(Path(folder), Path(os.environ.get(
                "EDGERNN_SHARED", PROJECT.parent / "shared" / "data")))
            try:
                page = rewritten(Path(name).read_text(encoding="utf-8"), shell)
            finally:
                shell.close()
        Path(name).write_text(page, encoding="utf-8")


def link_data(folder: Path, shared: Path) -> None:
    """Public data under the names that the tutorials give it."""
    for target, source in {"JapaneseVowels_TRAIN.ts": "tsc/JapaneseVowels_TRAIN.ts",
                           "JapaneseVowels_TEST.ts": "tsc/JapaneseVowels_TEST.ts",
                           "cmapss": "cmapss", "words.tsv": "text_cmudict/dev.tsv"}.items():
        if (shared / source).exists():
            (folder / target).symlink_to(shared / source)


if __name__ == "__main__":
    main()
