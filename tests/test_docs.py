"""What the documents show is what there is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


def test_the_cell_that_the_page_adds_is_the_one_in_the_repository():
    page = (PROJECT / "docs" / "adding-a-cell.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    file = PROJECT / "edgernn" / "train" / "blocks" / "fastgrnn.py"
    assert shown == [file.read_text(encoding="utf-8")]


def test_the_page_names_files_that_are_there():
    page = (PROJECT / "docs" / "adding-a-cell.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:edgernn|tests|tools)/[\w./]+)`", page):
        assert (PROJECT / name).exists(), name


@pytest.mark.slow
def test_adding_a_cell_is_adding_a_file(tmp_path):
    for folder in ("edgernn", "tests"):
        shutil.copytree(PROJECT / folder, tmp_path / folder,
                        ignore=shutil.ignore_patterns("__pycache__", "*.wav"))
    blocks = tmp_path / "edgernn" / "train" / "blocks"
    (blocks / "brand_new.py").write_text(
        (blocks / "fastgrnn.py").read_text().replace('kind = "fastgrnn"', 'kind = "brand_new"'))

    def run(*command):
        return subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, text=True,
                              capture_output=True, env={**os.environ, "PYTHONPATH": "."})

    assert "brand_new" in run("edgernn", "train", "--help").stdout
    tests = run("pytest", "-o", "addopts=", "-p", "no:cacheprovider", "tests/train/test_emit.py",
                "-k", "brand_new and (follows or one_type)")
    assert "9 passed" in tests.stdout, tests.stdout  # three profiles, weights per channel or not


def test_the_flags_of_the_training_page_are_there():
    from edgernn.train.config import TrainConfig

    page = (PROJECT / "docs" / "training.md").read_text(encoding="utf-8")
    flags = set(re.findall(r"--([a-z][a-z-]*)", page))
    assert len(flags) > 8
    assert {name.replace("-", "_") for name in flags} - set(vars(TrainConfig())) == \
        {"help", "overwrite", "config", "out"}


def test_the_options_of_the_page_on_serving_are_there():
    from edgernn.cli import serve, stream

    page = (PROJECT / "docs" / "serve.md").read_text(encoding="utf-8")
    flags = set(re.findall(r"--[a-z][a-z-]*", page))
    known = {flag for command in (serve.command, stream.command)
             for option in command.params for flag in option.opts}
    assert {"--wyoming", "--any-network", "--web", "--web-token"} <= flags <= known
