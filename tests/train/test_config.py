"""Settings: files, flags, and what is refused."""

import dataclasses

import pytest
import yaml

from edgernn.errors import ConfigError
from edgernn.train import models
from edgernn.train.config import TrainConfig, load, make


def test_what_is_written_reads_back_the_same(tmp_path):
    config = TrainConfig(task="spot", keywords=("yes", "no"), units=32, speed=(0.8, 1.3),
                         early_stopping=False)
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    assert load(path) == config


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("units: 32\nlayers: 2\n")
    config = load(path, {"units": 48})
    assert (config.units, config.layers, config.cell) == (48, 2, TrainConfig().cell)


def test_an_empty_file_means_the_defaults(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("# nothing\n")
    assert load(path) == TrainConfig()


def test_whole_numbers_will_do_where_fractions_may_stand():
    assert make({"learning_rate": 1, "snr_db": [0, 5]}).snr_db == (0.0, 5.0)


@pytest.mark.parametrize(("settings", "named"), [
    ({"unit": 64}, "unit"),
    ({"units": 0}, "units"),
    ({"units": 2.5}, "units"),
    ({"units": True}, "units"),
    ({"units": "64"}, "units"),
    ({"layers": 4}, "layers"),
    ({"cell": "transformer"}, "cell"),
    ({"cell": "gru", "activation": "relu"}, "simple_rnn"),
    ({"cell": "simple_rnn", "activation": "gelu"}, "activation"),
    ({"dropout": 1.0}, "dropout"),
    ({"learning_rate": float("nan")}, "learning_rate"),
    ({"learning_rate": "fast"}, "learning_rate"),
    ({"speed": [1.2, 0.8]}, "speed"),
    ({"speed": [0, 1]}, "speed"),
    ({"speed": 1.0}, "speed"),
    ({"snr_db": [1, 2, 3]}, "snr_db"),
    ({"keywords": [True, False]}, "quotes"),  # what YAML makes of [yes, no]
    ({"reset_after": 1}, "reset_after"),
])
def test_what_makes_no_sense_is_refused_by_name(settings, named):
    with pytest.raises(ConfigError, match=named):
        make(settings)


@pytest.mark.parametrize("text", ["units: [", "just words", "- 1\n- 2", "\x00"])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path, text):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"odd\.yaml"):
        load(path)


def test_a_missing_file_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.yaml"):
        load(tmp_path / "no.yaml")


def test_every_setting_says_what_it_is():
    assert all(len(field.metadata["help"]) > 10 for field in dataclasses.fields(TrainConfig))


def test_the_file_holds_every_setting():
    assert set(yaml.safe_load(TrainConfig().to_yaml())) == \
        {field.name for field in dataclasses.fields(TrainConfig)}


STACK = [{"kind": "conv1d", "units": 12, "kernel": 3, "activation": "relu"},
         {"kind": "depthwise", "kernel": 4}, {"kind": "gru", "units": 12, "residual": True},
         {"kind": "attention_pool", "units": 6, "window": 9}]


def test_a_stack_of_layers_is_what_it_says(tmp_path):
    config = make({"stack": STACK})
    found = models.layers(config, labels=5, features=7)
    assert [(layer.kind, layer.units) for layer in found] == [
        ("conv1d", 12), ("depthwise", 12), ("gru", 12), ("attention_pool", 6), ("dense", 5)]
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    assert load(path) == config


@pytest.mark.parametrize(("stack", "about"), [
    ("gru", "a list of layers"),
    ([{"kind": "gru", "width": 3}], "width"),
    ([{"kind": "gru", "units": "wide"}], "units"),
    ([{"kind": "lattice"}], "lattice"),
    ([{"kind": "memory"}], "memory"),
    ([{"kind": "conv1d", "units": 4, "kernel": 1}], "kernel of 2"),
    ([{"kind": "gru", "units": 4, "residual": True}], "residual.*7 wide"),
    ([{"kind": "transformer", "units": 8, "window": 4}], "8 units comes after 7"),
    ([{"kind": "transformer", "heads": 2, "window": 4}], "2 heads"),
    ([{"kind": "layer_norm"}, {"kind": "conv1d", "units": 4, "kernel": 2}], "after a layer_norm"),
])
def test_a_stack_that_cannot_be_is_refused_with_its_layer(stack, about):
    with pytest.raises(ConfigError, match=about):
        models.layers(make({"stack": stack}), labels=5, features=7)


def test_a_run_of_several_parts_is_no_single_network(tmp_path):
    from edgernn.errors import ModelError
    from edgernn.train.architecture import Architecture

    (tmp_path / "decoder").mkdir()
    (tmp_path / "decoder" / "architecture.json").write_text("{}")
    with pytest.raises(ModelError, match=r"several parts \(decoder\)"):
        Architecture.load(tmp_path / "architecture.json")


def test_a_folder_with_a_run_in_it_says_which(tmp_path):
    from edgernn.errors import ModelError
    from edgernn.train.architecture import Architecture

    (tmp_path / "run").mkdir()
    for name in ("architecture.json", "config.yaml"):
        (tmp_path / "run" / name).touch()
    with pytest.raises(ModelError, match=r"no run folder, but .*run is one"):
        Architecture.load(tmp_path / "architecture.json")
