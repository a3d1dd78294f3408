"""Everything a training run can be told, in one dataclass: by a YAML file, by flags, or both."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgernn.errors import ConfigError, ModelError
from edgernn.frontend.tokens import UNITS
from edgernn.spec import TASKS, decode
from edgernn.train.architecture import Layer
from edgernn.train.blocks import CELLS

Range = tuple[float, float]
"""Lowest and highest value; one between them is drawn each time."""


def _setting(default: Any, text: str, least: float | None = None, most: float | None = None,
             choices: tuple[str, ...] = ()) -> Any:
    """A field that carries its help text and limits, so that they are said once."""
    return dataclasses.field(default=default, metadata={
        "help": text, "least": least, "most": most, "choices": choices})


@dataclass(frozen=True)
class TrainConfig:
    """One training run.  Each field's `metadata` has its help text, with the unit."""

    task: str = _setting(
        "classify", "; ".join(f"{name}: {about}" for name, about in TASKS.items()) + ".",
        choices=tuple(TASKS))
    keywords: tuple[str, ...] = _setting(
        (), "Spot only: the labels to listen for, separated by commas; all others count as "
        "nothing said. Empty: every label.")

    cell: str = _setting("gru", "Recurrent cell.", choices=tuple(CELLS))
    activation: str = _setting(
        "tanh", "SimpleRNN only: tanh, or relu, whose state has no bound.",
        choices=("tanh", "relu"))
    units: int = _setting(64, "Width of each recurrent layer, and of its state.", 1, 1024)
    layers: int = _setting(1, "Recurrent layers.", 1, 3)
    reset_after: bool = _setting(
        True, "GRU only: reset gate after the recurrent matmul (as cuDNN) or before it.")
    front: int = _setting(0, "Units of a dense ReLU layer before the recurrent ones; 0: none.", 0)
    stack: tuple[Layer, ...] = _setting(
        (), "Layers of your own choice before the task's last one, instead of cell, units, layers, "
        "front and layer_norm; in YAML: [{kind: conv1d, units: 32, kernel: 5, activation: relu}, "
        "{kind: gru, units: 32, residual: true}].")
    layer_norm: bool = _setting(
        False, "Normalize each frame (after the dense layer, if there is one).")
    dropout: float = _setting(
        0.3, "Share of each recurrent layer's or Transformer's outputs dropped.", 0, 0.95)
    recurrent_dropout: float = _setting(
        0.0, "Share of each recurrent layer's state dropped on its way to the gates, the same "
        "units on every frame of a lesson; gru, lstm and simple_rnn.", 0, 0.95)
    input_noise: float = _setting(
        0.2, "Standard deviation of the Gaussian noise added to features.", 0)

    attention: str = _setting(
        "dot", "Transduce: how the decoder looks back at the encoder's outputs: dot (Luong), "
        "additive (Bahdanau), or none: it has the encoder's last state alone.",
        choices=("none", "dot", "additive"))
    bidirectional: bool = _setting(
        False, "Transduce: the encoder reads the source from both ends. Label: a frame's label "
        "depends on later frames too.")
    chunk: int = _setting(
        0, "Label, bidirectional: frames that are answered together; 0: the whole sequence.", 0)
    ahead: int = _setting(
        0, "Label, bidirectional: frames that the last of a chunk sees beyond itself.", 0)
    label_smoothing: float = _setting(
        0.0, "Transduce: share of each target spread over all tokens.", 0, 0.9)
    token_noise: float = _setting(
        0.0, "Transduce: share of the decoder's inputs that are random tokens in training, so "
        "that it learns to go on after an error of its own.", 0, 0.9)

    epochs: int = _setting(100, "Most times the training set is gone through.", 1)
    batch: int = _setting(16, "Lessons per update of the weights.", 1)
    learning_rate: float = _setting(3e-3, "Of Adam at the start; a cosine takes it to 5 %.",
                                    1e-9, 10)
    clipnorm: float = _setting(1.0, "Longest gradient, as a norm; longer ones are scaled down.",
                               1e-6)
    average: float = _setting(
        0.0, "Weights kept are a moving average over updates, each one's own share 1 - this; "
        "0: the last update's.", 0, 0.99999)
    patience: int = _setting(30, "Epochs without a better streaming metric before it stops.", 1)
    early_stopping: bool = _setting(
        True, "Stop by, and restore the weights that did best on, the validation split. "
        "Off: train on that split too, for all epochs.")
    join: int = _setting(
        4, "Classify: up to so many sequences follow one another without a reset, so that the "
        "model learns with its state already full. 1: always from reset.", 1, 100)
    tbptt: int = _setting(
        0, "Frames between updates of the weights in long lessons, and as far back as gradients "
        "reach: truncated backpropagation, the state carried on. 0: whole lessons.", 0)
    carry: float = _setting(
        0.0, "Share of lessons that begin with the state that a lesson of the batch before left, "
        "not with zeros.", 0, 1)
    mix: tuple[float, ...] = _setting(
        (), "Shares of several DATA in the lessons, such as 3,1: three of the first for one of the "
        "second, however many each has; empty: all of each.")
    class_weights: tuple[str, ...] = _setting(
        (), "What labels count, such as yes=2,no=0.5; balanced: all labels the same, however rare; "
        "empty: as often as they are.")
    checkpoint_epochs: int = _setting(
        1, "Epochs from one checkpoint to the next: a run that was killed goes on from the last "
        "if the same command is given again. 0: none.", 0)
    seed: int = _setting(0, "Of everything drawn at random.", 0)

    transpose: int = _setting(
        0, "Next, of rows: half of the sequences are moved by up to so many columns either way, "
        "as music to another key.", 0)

    unit: str = _setting("character", "Text: what a token is.", choices=UNITS)
    ngrams: int = _setting(
        1, "Text: tokens a frame; the second is the pair of units that ends there, the third the "
        "three, and so on.", 1, 8)
    buckets: int = _setting(
        4096, "Text: numbers that all runs of two units share, by hash; as many for three.", 1)
    least_count: int = _setting(
        3, "Text: a unit that is rarer than this in training data is unknown.", 1)
    embedding: int = _setting(16, "Text: numbers that a token is turned into.", 1, 1024)
    token_dropout: float = _setting(0.3, "Text: share of tokens forgotten in training.", 0, 0.95)
    embedding_dropout: float = _setting(
        0.0, "Text: share of an embedding's numbers forgotten, the same in all of a text (Gal and "
        "Ghahramani 2016).", 0, 0.95)

    frontend: str = _setting(
        "logmel", "Audio: what the model hears with: logmel is edgernn's own; microfrontend is "
        "that of TensorFlow Lite Micro, for export --target esphome: 16 kHz, a row every 10 ms.",
        choices=("logmel", "microfrontend"))
    sample_rate_hz: int = _setting(16000, "Audio: sample rate of the model, hertz.", 8000, 48000)
    window_ms: int = _setting(30, "Audio: length of a frame's window, milliseconds.", 1)
    hop_ms: int = _setting(20, "Audio: distance between frames, milliseconds.", 1)
    mels: int = _setting(40, "Audio: features per frame.", 1)
    low_hz: int = _setting(60, "Audio: lower edge of the lowest mel filter, hertz.", 0)
    high_hz: int = _setting(
        0, "Audio: upper edge of the highest mel filter, hertz; 0: 0.475 of the sample rate.", 0)

    snr_db: tuple[float, float] = _setting((5.0, 30.0), "Audio: speech over noise, decibels.")
    noisy: float = _setting(0.7, "Audio: share of lessons with noise.", 0, 1)
    gain_db: tuple[float, float] = _setting((-12.0, 6.0), "Audio: change of level, decibels.")
    shift_ms: int = _setting(
        100, "Audio: longest silence or noise added before and after a clip, milliseconds.", 0)
    speed: tuple[float, float] = _setting(
        (0.9, 1.1), "Audio: factor on the speed of a clip, and so on its pitch.")
    warp: float = _setting(
        0.05, "Audio: greatest stretch of the mel axis, as a share: longer and shorter throats.",
        0, 0.5)
    equalize_db: float = _setting(
        4.0, "Audio: standard deviation of a smooth curve added to the spectrum, decibels: other "
        "microphones and rooms.", 0)
    tilt_db: float = _setting(
        6.0, "Audio: greatest tilt of the spectrum, decibels at either end.", 0)
    fade_db: float = _setting(
        0.0, "Audio: most that the end of a clip sinks, decibels, in half of the clips: some "
        "voices trail off.", 0)
    trim: float = _setting(
        0.0, "Audio, classify: greatest share of a clip cut off at either end; other hands cut "
        "clips elsewhere.", 0, 0.4)
    passes: int = _setting(
        1, "Audio, classify: lessons made of each stretch of audio, each with another stretch of "
        "the mel axis, other filters and other blots; cheaper than new audio.", 1)
    answer_ms: int = _setting(
        0, "Audio, classify: the label counts from so long before a clip's end, and scores are "
        "smoothed over as long, milliseconds; 0: it counts on the last frame only.", 0)
    mask_mels: int = _setting(6, "Audio: most neighbouring mels blotted out at once.", 0)
    mask_frames: int = _setting(4, "Audio: most neighbouring frames blotted out at once.", 0)
    merge: str = _setting(
        "", "Audio, label: call every recording this, negatives too, such as `speech`; empty: each "
        "has its own label, and negatives none.")
    scenes: int = _setting(600, "Audio, spot and label: scenes per epoch.", 1)
    pool: int = _setting(
        0, "Audio, spot: scenes there are in all, made when they are first met and then met again, "
        "each time a little changed; making them takes most of an epoch. 0: new ones each epoch.",
        0)
    scene_s: tuple[float, float] = _setting(
        (4.0, 8.0), "Audio, spot and label: length of a scene, seconds.")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))
        if self.activation != "tanh" and not any(
                form.get("activation") == self.activation
                for form in CELLS[self.cell].variants.values()):
            raise ConfigError(f"cell {self.cell} was given activation {self.activation}, which it "
                              "does not have. Use --cell simple_rnn, or leave --activation out")
        if self.speed[0] <= 0 or self.scene_s[0] < 2:
            raise ConfigError(f"speed {list(self.speed)} and scene_s {list(self.scene_s)} were "
                              "given; a speed above 0 and scenes of 2 s or more were needed")

    @property
    def mel_high_hz(self) -> int:
        """Upper edge of the highest mel filter, hertz, with the default filled in."""
        return self.high_hz or self.sample_rate_hz * 19 // 40

    def to_yaml(self) -> str:
        """As `load` reads it."""
        import yaml

        plain = {name: list(value) if isinstance(value, tuple) else value
                 for name, value in dataclasses.asdict(self).items()}
        plain["stack"] = [{name: value for name, value in vars(layer).items()
                           if value != _DEFAULTS.get(name)} for layer in self.stack]
        text: str = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None)
        return text


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Layer)
             if field.default is not dataclasses.MISSING}


def load(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> TrainConfig:
    """Read a YAML file of settings; `flags` win over it, and defaults fill the rest.

    Raises
    ------
    ConfigError
        If the file cannot be read or is no YAML mapping, or a setting is unknown, of
        another type, or outside its limits.
    """
    return make(_read(path) if path else {}, flags or {}, str(path) if path else "")


def make(
    settings: Mapping[str, Any], flags: Mapping[str, Any] | None = None, where: str = "",
) -> TrainConfig:
    """Settings as plain values, as YAML gives them; see `load`."""
    fields = {field.name: field for field in dataclasses.fields(TrainConfig)}
    merged = {**settings, **(flags or {})}
    unknown = [name for name in merged if name not in fields]
    if unknown:
        raise ConfigError(f"{where or 'The configuration'} has the unknown setting "
                          f"{unknown[0]!r}; known are {', '.join(fields)}. Correct or remove it")
    hints = typing.get_type_hints(TrainConfig)
    return TrainConfig(**{name: _convert(name, hints[name], value)
                          for name, value in merged.items()})


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as problem:
        reason = " ".join(str(problem).split())
        raise ConfigError(f"{path} cannot be read as YAML: {reason}. Lines like `units: 64` "
                          "were needed") from problem
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds {type(tree).__name__}; lines like `units: 64` were needed")
    return tree


def _convert(name: str, kind: Any, value: Any) -> Any:
    """`value` as a field of type `kind` holds it."""
    if kind == Range:
        good = isinstance(value, (list, tuple)) and len(value) == 2
        if not good or not all(map(_is_number, value)) or value[0] > value[1]:
            raise ConfigError(f"{name} is {value!r}; the lowest and the highest value were "
                              f"needed, such as `{name}: [1, 2]`")
        return (float(value[0]), float(value[1]))
    if kind == tuple[float, ...]:
        if not isinstance(value, (list, tuple)) or not all(map(_is_number, value)) or \
                not all(0 < v < float("inf") for v in value):
            raise ConfigError(f"{name} is {value!r}; a list of numbers above 0 was needed, such as "
                              f"`{name}: [3, 1]`")
        return tuple(float(v) for v in value)
    if kind == tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f"{name} is {value!r}; a list of labels was needed, such as "
                              f"`{name}: [yes, no]` with quotes around yes and no")
        return tuple(value)
    if kind == tuple[Layer, ...]:
        return _layers(name, value)
    if kind is float and _is_number(value):
        return float(value)
    # bool is an int to Python, but `true` is no number to a reader of YAML.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{name} is {value!r}; {_named(kind)} was needed")
    return value


def _layers(name: str, value: Any) -> tuple[Layer, ...]:
    """A stack of layers out of mappings; units that are not given are those of the input."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, dict) for one in value):
        raise ConfigError(f"{name} is {value!r}; a list of layers was needed, such as "
                          f"`{name}: [{{kind: gru, units: 64}}]`")
    try:
        return tuple(decode(Layer, {"units": 0, **one}, f"{name}[{i}]")
                     for i, one in enumerate(value))
    except ModelError as problem:
        raise ConfigError(f"{problem}; layers have the fields "
                          f"{', '.join(f.name for f in dataclasses.fields(Layer))}") from problem


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _named(kind: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false",
            str: "text"}.get(kind, str(kind))


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    least, most, choices = (field.metadata[key] for key in ("least", "most", "choices"))
    if choices and value not in choices:
        raise ConfigError(f"{field.name} is {value!r}; one of {', '.join(choices)} was needed")
    # NaN compares false with everything, so the limits are asked for, not their breach.
    if least is not None and not value >= least:
        raise ConfigError(f"{field.name} is {value}; {least:g} or more was needed")
    if most is not None and not value <= most:
        raise ConfigError(f"{field.name} is {value}; {most:g} or less was needed")
