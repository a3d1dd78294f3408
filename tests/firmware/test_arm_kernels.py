"""Kernels of the Arm chips where tiles do not fit, and however the compiler optimizes."""

import pytest

from edgernn.train.architecture import Layer
from edgernn.train.profile import PROFILES
from firmware_export import chips
from firmware_export.chips.emulate import missing
from firmware_export.project import Source
from tests import models
from tests.firmware import stepping

STEPS = 100
CHIPS = [pytest.param(chips.CHIPS[name], id=name, marks=[pytest.mark.slow, pytest.mark.skipif(
    bool(missing(chips.CHIPS[name])),
    reason=f"needs apt install {' '.join(missing(chips.CHIPS[name]))}")])
    for name in ("m3", "m4", "m55")]


def differing(of, tmp_path, chip, *flags):
    program = stepping.build_for_chip(of, tmp_path, chip, *flags)
    given = STEPS.to_bytes(4, "little") + stepping.given(of, STEPS)
    done = chips.run(chip, program, given)
    assert done.code == 0, done.printed
    return set(stepping.differing(of, done.output[:-4], STEPS).values())


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("profile", PROFILES)
def test_matrices_of_any_shape(chip, profile, tmp_path):
    """Wider than sums of 16-bit halves go, more rows than are made at once; none a multiple."""
    of = {name: Source.read(models.write_model(tmp_path / f"{name}.tflite", *layers, features=width,
                                               profile=profile, labels=labels))
          for name, layers, width, labels in (
              ("wide", (Layer("gru", 6),), 519, 3), ("tall", (Layer("simple_rnn", 75),), 1, 5),
              ("both", (Layer("min_gru", 67),), 261, 7), ("flat", (Layer("gru", 1),), 2, 2))}
    assert differing(of, tmp_path, chip) == {0}


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("flag", ["-O0", "-Os", "-O3"])
def test_any_optimization(chip, flag, tmp_path):
    of = {profile: Source.read(models.write_model(tmp_path / f"{profile}.tflite", Layer("gru", 18),
                                                  features=9, profile=profile))
          for profile in PROFILES}
    assert differing(of, tmp_path, chip, flag) == {0}
