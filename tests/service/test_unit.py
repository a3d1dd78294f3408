"""Units of systemd, read by systemd."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.errors import ConfigError
from edgernn.service.unit import Unit, quoted

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"),
                                   reason="apt install systemd")


def service(*arguments, home, typed=None):
    watched = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return subprocess.run([sys.executable, "-m", "edgernn", "service", *arguments],
                          capture_output=True, text=True, input=typed,
                          env={"HOME": str(home), "PATH": "/usr/bin:/bin"} | watched, timeout=60)


@needs_systemd
@pytest.mark.parametrize("owner", ["daemon", ""])
def test_systemd_finds_no_fault_with_a_unit(owner, tmp_path):
    words = [sys.executable, "-m", "edgernn", "stream", "--exec", 'say "it\'s" $1 100% \\n',
             "--device", "Größe"]
    unit = Unit("kitchen", words, tmp_path, owner, [tmp_path / "a folder", Path("/var/log")])
    path = tmp_path / "kitchen.service"
    path.write_text(unit.text())
    done = subprocess.run(["systemd-analyze", "verify", "--man=no",
                           *([] if owner else ["--user"]), str(path)],
                          capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if "kitchen.service" in line] == []
    unit.verify()


@needs_systemd
def test_systemd_rates_the_unit_as_little_exposed(tmp_path):
    unit = Unit("kitchen", ["/bin/true"], tmp_path, "daemon")
    path = tmp_path / "kitchen.service"
    path.write_text(unit.text())
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=40",
                           str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@needs_systemd
def test_a_unit_that_systemd_refuses_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="refuses"):
        Unit("kitchen", ["no/whole/path"], tmp_path, "daemon").verify()


@settings(max_examples=200)
@given(st.text(st.characters(blacklist_characters="\n\0", blacklist_categories=["Cs", "Cc"])))
def test_a_word_is_read_back_as_it_was(word):
    assert unquoted(quoted(word)) == word


def unquoted(text):
    """What systemd.service(5) says of quotes, backslashes, dollars and percent signs."""
    if text.startswith('"'):
        assert text.endswith('"')
        text = text[1:-1]
        inner, escaped = "", False
        for letter in text:
            if escaped:
                assert letter in '\\"'
                inner, escaped = inner + letter, False
            elif letter == "\\":
                escaped = True
            else:
                assert letter != '"'
                inner += letter
        text = inner
    assert text.replace("$$", "").count("$") == 0
    assert text.replace("%%", "").count("%") == 0
    return text.replace("$$", "$").replace("%%", "%")


def test_names_and_words_that_systemd_cannot_have_are_refused(tmp_path):
    for name in ("", "../up", "two words", ".hidden"):
        with pytest.raises(ConfigError, match="no name"):
            Unit(name, ["/bin/true"], tmp_path, "")
    with pytest.raises(ConfigError, match="line break"):
        quoted("a\nb")


def test_a_unit_is_shown_before_it_is_written_and_removed_only_if_it_is_ours(tmp_path):
    path = tmp_path / ".config/systemd/user/edgernn.service"
    shown = service("show", "--user", "--", "--log", "/var/log/x.log", home=tmp_path).stdout
    assert "edgernn stream --log /var/log/x.log" in shown
    refused = service("install", "--user", "--", "--log", "/var/log/x.log", home=tmp_path,
                      typed="n\n")
    assert shown in refused.stderr
    assert not path.exists()
    done = service("install", "--user", "--", "--log", "/var/log/x.log", home=tmp_path,
                   typed="y\n")
    assert done.returncode == 0, done.stderr
    assert path.read_text() == shown
    assert "systemctl --user enable" in done.stderr or "enable --now edgernn" in done.stderr
    assert service("remove", "--user", "--yes", home=tmp_path).returncode == 0
    assert not path.exists()
    path.write_text("[Unit]\n")
    for verb in ("install", "remove"):
        done = service(verb, "--user", "--yes", home=tmp_path)
        assert (done.returncode, path.read_text()) == (1, "[Unit]\n")
        assert "did not write" in done.stderr


def test_a_slip_in_the_streams_options_is_found_at_once(tmp_path):
    done = service("install", "--yes", "--user", "--", "--no-such-option", home=tmp_path)
    assert done.returncode == 2
    assert "--no-such-option" in done.stderr


def test_the_service_may_write_where_the_stream_was_told_to_and_nowhere_else(tmp_path):
    log, state = tmp_path / "log" / "words.log", tmp_path / "state" / "states"
    shown = service("show", "--", "--log", str(log), "--state-file", str(state),
                    home=tmp_path).stdout
    assert [line for line in shown.splitlines() if line.startswith("ReadWritePaths=")] == [
        f"ReadWritePaths={log.parent}", f"ReadWritePaths={state.parent}"]
