"""A stranger who types what a tutorial shows sees what it shows."""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.docs.tutorial import PROJECT, Shell, Step, alike, differing, link_data, steps

PAGES = sorted((PROJECT / "docs" / "tutorials").glob("*.md"))
DATA = {"vowels": "tsc", "turbofan": "cmapss", "spelling": "text_cmudict", "wake-word": "",
        "keras": ""}
"""Folders of the shared data."""
PROGRAMS = {"vowels": ["arm-none-eabi-gcc", "qemu-system-arm", "make", "cc"],
            "turbofan": ["mosquitto", "mosquitto_sub", "mosquitto_pub"]}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_tutorial_prints_what_it_shows(page, tmp_path):
    pytest.importorskip("tensorflow", reason='pip install "edgernn[train]"')
    shared = Path(os.environ.get("EDGERNN_SHARED", PROJECT.parent / "shared" / "data"))
    if not (shared / DATA[page.stem]).is_dir():
        pytest.skip(f"{page.name} needs {shared / DATA[page.stem]}")
    for name in PROGRAMS.get(page.stem, []):
        if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin"):
            pytest.skip(f"{page.name} needs {name}")
    if page.stem == "wake-word":
        pytest.importorskip("espeakng_loader", reason='pip install "edgernn[synth]"')
    link_data(tmp_path, shared)
    shell = Shell(tmp_path)
    try:
        for step in steps(page.read_text(encoding="utf-8")):
            code, printed = shell.run(step.command)
            assert code == 0, f"{step.command}\n" + "\n".join(printed)
            assert not differing(step.shown, printed), f"{step.command}\n" + "\n".join(printed)
    finally:
        shell.close()


def test_every_tutorial_is_known_and_in_the_navigation():
    assert {page.stem for page in PAGES} == DATA.keys()
    navigation = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        assert f"tutorials/{page.name}" in navigation


def test_what_is_shown_must_be_printed_in_order_with_like_numbers():
    printed = ["trained 40 epochs in 12 s, kept epoch 31", "accuracy  96.49%   95.1%", "done"]
    assert not differing(("trained 40 epochs in 10 s, kept epoch 28", "...", "done"), printed)
    assert differing(("done", "trained 40 epochs in 12 s, kept epoch 31"), printed)
    assert differing(("accuracy  60.00%   95.1%",), printed)
    assert differing(("never printed",), printed)
    assert differing(("trained 40 epochs in 12 s, kept epoch 31", "...", "accuracy 96.49% 95.1%"),
                     printed) == ["done"]
    assert differing((), ["a warning"]) == ["a warning"]
    assert not alike("27: 7 FULLY_CONNECTED", "27: 8 FULLY_CONNECTED")
    assert alike("│ size │ 17,278 bytes │", "│ size  │ 17,300 bytes │")
    assert not alike("│ size │ 17,278 bytes │", "│ size │ 33,000 bytes │")


def test_commands_of_several_lines_stay_together():
    page = "```console\n$ cat > a <<'END'\n$ no command\nEND\n$ ls \\\n  -l\nshown\n```\n"
    assert steps(page) == [Step("cat > a <<'END'\n$ no command\nEND", ()),
                           Step("ls \\\n  -l", ("shown",))]


def test_the_site_builds_without_a_broken_link(tmp_path):
    commands = pytest.importorskip("mkdocs.commands.build", reason='pip install "edgernn[docs]"')
    config = pytest.importorskip("mkdocs.config")
    pytest.importorskip("material", reason='pip install "edgernn[docs]"')
    loaded = config.load_config(str(PROJECT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True)
    commands.build(loaded)
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "fonts.googleapis" not in text, page
        assert not re.search(r'<(?:script|img)[^>]*src="(?:https?:)?//', text), page
        assert not re.search(r'<link[^>]*rel="stylesheet"[^>]*href="(?:https?:)?//', text), page
