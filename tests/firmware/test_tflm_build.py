"""Exports linked with a TensorFlow Lite Micro that is here; see `tflm_steps.tflm`."""

import re
import shutil
import subprocess

import pytest

from edgernn.train.profile import PROFILES
from firmware_export.folder import write_project
from firmware_export.project import Source
from firmware_export.tflm import TARGETS, tflm_project
from tests import models
from tests.firmware import stepping, tflm_steps

pytestmark = pytest.mark.slow
CMAKE = ("cmake", "-DCMAKE_BUILD_TYPE=Release")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_byte_of_two_thousand_steps_is_the_emulators(tmp_path, profile):
    tflm_steps.tflm()
    of = stepping.sources(tmp_path, profile)
    program = tflm_steps.build(of, tmp_path)
    done = subprocess.run([str(program), str(stepping.STEPS)], input=stepping.given(of),
                          stdout=subprocess.PIPE, check=True)
    # One of the two, the same for all models: which one is the release's choice.
    found = [stepping.differing(of, done.stdout, old_scales=old) for old in (False, True)]
    assert {0} in [set(one.values()) for one in found], found


@pytest.fixture
def source(tmp_path):
    tflm_steps.tflm()
    return Source.read(models.write_model(tmp_path / "kws.tflite"))


@pytest.fixture
def project(source):
    """An export, as files that a test may spoil before it builds them."""
    return tflm_project(source, "kws", ["tests"], TARGETS["tflm"])


def selfcheck(files, folder):
    """What the project's own program says, built by its own CMakeLists.txt."""
    if not shutil.which("cmake"):
        pytest.skip("needs cmake: apt install cmake")
    folders, library = tflm_steps.tflm()
    write_project(folder / "firmware", files)
    subprocess.run([*CMAKE, "-S", str(folder / "firmware"), "-B", str(folder / "build"),
                    f"-DTFLM_INCLUDE_DIRS={';'.join(folders)}", f"-DTFLM_LIBRARY={library}"],
                   check=True, capture_output=True)
    subprocess.run(["cmake", "--build", str(folder / "build")], check=True, capture_output=True)
    return subprocess.run([str(folder / "build" / "kws_main"), "--selfcheck"], check=False,
                          capture_output=True, text=True).stdout


def test_a_project_builds_with_cmake_and_proves_itself(project, tmp_path):
    assert selfcheck(project, tmp_path) == "selfcheck passed\n"


def test_a_state_that_is_not_fed_back_is_found(project, tmp_path):
    """The third of the copies: out of the model into the memory."""
    text = project["src/kws.cc"]
    project["src/kws.cc"] = text.replace("!engine->take(1, state->gru0_h, sizeof state->gru0_h)",
                                         "false")
    assert project["src/kws.cc"] != text
    assert selfcheck(project, tmp_path) == "selfcheck: step 2 differs\n"


def test_a_state_at_another_place_is_found(project, tmp_path):
    """Half of it is copied: what else a wrong byte count does."""
    text = project["src/kws.cc"]
    project["src/kws.cc"] = text.replace("memcpy(tensor->data.data, from, bytes);",
                                         "memcpy(tensor->data.data, from, bytes / 2u);")
    assert project["src/kws.cc"] != text
    assert selfcheck(project, tmp_path) == "selfcheck: step 1 differs\n"


@pytest.fixture
def flipped(project, source):
    """The same with one bit of one weight of the recurrent matrix changed."""
    weights = source.graph.tensor("gru0_z_h/weights").values.tobytes()
    text, at = project["src/kws_model_data.cc"], source.flatbuffer.index(weights) + 100
    found = list(re.finditer(r"0x([0-9a-f]{2}),", text))[at]
    assert int(found.group(1), 16) == weights[100]
    project["src/kws_model_data.cc"] = (
        text[:found.start(1)] + f"{weights[100] ^ 0x40:02x}" + text[found.end(1):])
    return project


def test_a_flipped_weight_is_found_by_the_checksum(flipped, tmp_path):
    assert selfcheck(flipped, tmp_path) == (
        "selfcheck: the model is damaged, or TensorFlow Lite Micro refuses it\n")


def test_a_flipped_weight_is_found_by_the_steps_too(flipped, tmp_path):
    text = flipped["src/kws.cc"]
    flipped["src/kws.cc"] = text.replace("!= golden_checksum", "== 0u")
    assert flipped["src/kws.cc"] != text
    assert re.fullmatch(r"selfcheck: step [1-8] differs\n", selfcheck(flipped, tmp_path))


def test_an_arena_that_is_too_small_is_said(project, tmp_path):
    text = project["src/kws.h"]
    project["src/kws.h"] = re.sub(r"(#define KWS_ARENA_BYTES) \d+", r"\1 4000", text)
    assert selfcheck(project, tmp_path).endswith("or TensorFlow Lite Micro refuses it\n")
