"""A diagnosis: of this machine as it is, and of machines with something wrong."""

import json
import os
import subprocess
import sys

import pytest

from edgernn import doctor
from edgernn.doctor import audio, interpreters, machine, packages
from edgernn.doctor.finding import FAIL, INFO, OK, WARN
from edgernn.errors import SourceError
from edgernn.interpreter import available


def states(findings):
    return [each.state for each in findings]


@pytest.fixture(scope="module")
def whole():
    return subprocess.run([sys.executable, "-m", "edgernn", "doctor", "--json"],
                          capture_output=True, text=True, timeout=120)


def test_every_interpreter_that_is_here_has_run_a_model(whole):
    found = {each["what"]: each for each in json.loads(whole.stdout)["findings"]}
    for name in available():
        each = found[f"interpreter {name}"]
        assert each["state"] == OK
        assert "us a step" in each["found"]
        assert each["found"].endswith("exact") is (name in interpreters.EXACT)


def test_every_problem_comes_with_its_fix(whole):
    for each in json.loads(whole.stdout)["findings"]:
        assert each["state"] in (OK, INFO, WARN, FAIL)
        assert each["fix"] or each["state"] in (OK, INFO)
    assert whole.returncode == any(
        each["state"] == FAIL for each in json.loads(whole.stdout)["findings"])


def test_people_get_a_table_that_ends_in_what_to_mend():
    done = subprocess.run([sys.executable, "-m", "edgernn", "doctor"], capture_output=True,
                          text=True, timeout=120)
    assert "Python" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert "to look at" in last or "broken" in last or last == "Nothing to mend."


def test_tflite_runtime_with_numpy_2_is_a_failure(monkeypatch):
    versions = {"tflite-runtime": "2.14.0", "numpy": "2.1.0"}
    monkeypatch.setattr(packages, "version", versions.get)
    (found,) = packages.numpy_clash()
    assert found.state == FAIL
    assert "pip install 'numpy<2'" in found.fix
    versions["numpy"] = "1.26.4"
    assert list(packages.numpy_clash()) == []


def test_a_missing_extra_is_no_fault_but_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(packages, "version", {"numpy": "2.1.0"}.get)
    found = {each.what: each for each in packages.extras()}
    assert found["extra mqtt"].state == INFO
    assert found["extra mqtt"].fix == 'pip install "edgernn[mqtt]"'


@pytest.mark.slow
@pytest.mark.parametrize(("trial", "said"), [
    ("import os; os.kill(os.getpid(), 11)", "signal 11"),
    ("raise RuntimeError('wrong processor')", "wrong processor"),
    ("print('[0.5, 10.0]')", "differ"),
    ("import time; time.sleep(60)", "did not answer")])
def test_an_interpreter_that_misbehaves_in_any_way_is_told_of(monkeypatch, trial, said):
    monkeypatch.setattr(interpreters, "TRIAL", trial)
    monkeypatch.setattr(interpreters, "TIMEOUT_S", 3.0)
    for name in ("litert", "c"):
        found = interpreters._trial(name, "1.0")
        assert said in found.found
        assert found.state == (WARN if said == "differ" and name == "litert" else FAIL)
        assert found.fix


def test_without_any_interpreter_there_is_a_failure(monkeypatch):
    monkeypatch.setattr("edgernn.interpreter.available", dict)
    (found,) = interpreters.runtimes()
    assert found.state == FAIL
    assert "edgernn[device]" in found.fix


def test_a_pi_that_is_throttled_says_by_what(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "THROTTLED", tmp_path / "throttled")
    monkeypatch.setattr(machine, "GOVERNOR", tmp_path / "governor")
    assert list(machine.power()) == []
    for bits, state, said in (("0x0", OK, "never"), ("0x50005", WARN, "now: the voltage is too"),
                              ("0x20000", WARN, "since it was started: the clock is capped")):
        machine.THROTTLED.write_text(bits + "\n")
        (found,) = machine.power()
        assert found.state == state
        assert said in found.found
    machine.GOVERNOR.write_text("powersave\n")
    assert states(machine.power()) == [WARN, WARN]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_what_may_not_be_opened_names_the_group(tmp_path):
    closed = tmp_path / "ttyACM0"
    closed.touch(mode=0)
    (found,) = machine._access("serial ports", [closed], "dialout")
    assert found.state == WARN
    assert "usermod -aG dialout" in found.fix


def test_a_disk_that_is_full_is_told_of(monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: type("U", (), {"free": 5e6}))
    assert states(machine.disk()) == [WARN]


def test_without_portaudio_the_message_is_the_microphones_own(monkeypatch):
    def missing():
        raise SourceError("The microphone needs PortAudio (none). Install it: sudo apt install x")

    monkeypatch.setattr("edgernn.sources.devices.portaudio", missing)
    (found,) = audio.microphones()
    assert found.fix == "Install it: sudo apt install x"


def test_a_check_that_breaks_does_not_keep_the_others_from_being_made(monkeypatch):
    def broken():
        raise KeyError("what")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (broken, machine.python))
    found = list(doctor.examine())
    assert states(found) == [WARN, OK]
    assert "KeyError" in found[0].found
