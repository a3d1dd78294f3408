"""A Keras model's layers in the order of the data, whatever it was built with."""

from dataclasses import dataclass
from typing import Any

from edgernn.errors import QuantizeError
from edgernn.train.keras_file import MASK_OPS


@dataclass(frozen=True)
class Link:
    """One layer of a chain, or a sum of the chain so far and a branch that begins at it."""

    layer: Any
    """The Keras layer; of a sum, its Add."""
    branch: "tuple[Link, ...] | None" = None
    """Of a sum, what else is added: the links from the chain so far to the Add."""


def refuse(layer: Any, found: str, remedy: str) -> QuantizeError:
    """The error that a layer, by class and name, cannot be in a step, and what can."""
    return QuantizeError(f"the {type(layer).__name__} {layer.name!r} {found}; {remedy}")


def chain(model: Any) -> tuple[Link, ...]:
    """Every layer from the input (first) to the output (last), models within models opened.

    Raises
    ------
    QuantizeError
        If the model has several inputs or outputs, or branches other than a sum of a
        layer and its input.
    """
    if not getattr(model, "inputs", None):
        raise refuse(model, "has no Input and so no width, or is a class of its author's own",
                     "build it as Sequential([keras.Input((None, features)), ...])")
    for what, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            names = ", ".join(tensor._keras_history.operation.name for tensor in tensors)
            raise refuse(model, f"has {len(tensors)} {what} ({names})", "a step has one. Save a "
                         f"keras.Model with one of its {what}")
    given = model.inputs[0]
    return (Link(given._keras_history.operation), *_between(given, model.outputs[0]))


def _between(start: Any, end: Any) -> tuple[Link, ...]:
    """Links that lead from the tensor `start` to the tensor `end`."""
    found: list[Link] = []
    tensor = end
    while tensor._keras_history != start._keras_history:
        layer, node_index, tensor_index = tensor._keras_history
        node = layer._inbound_nodes[node_index]
        if not node.input_tensors:
            raise refuse(layer, "is an input within the model", "a step has one input. Save the "
                         "model with its one Input")
        if tensor_index:
            raise refuse(layer, "gives its state to another layer or out (return_state)",
                         "a step's state stays with its layer. Use the layer's output")
        inputs = _inputs(layer, node)
        if len(inputs) == 2 and type(layer).__name__ == "Add":
            tensor, branch = _fork(layer, *inputs)
            found.append(Link(layer, branch))
            continue
        if len(inputs) != 1:
            raise refuse(layer, f"joins {len(inputs)} branches", "the one join that a step has is "
                         "Add, of a layer's output and that layer's input. Use that, or one chain")
        tensor = inputs[0]
        # A model in a model is its layers; their own input is the tensor it is given.
        found += reversed(chain(layer)[1:]) if hasattr(layer, "layers") else [Link(layer)]
    return tuple(reversed(found))


def _fork(add: Any, a: Any, b: Any) -> tuple[Any, tuple[Link, ...]]:
    """Of a sum's two inputs the one that the other was made of, and how."""
    for trunk, tip in ((a, b), (b, a)):
        if _comes_from(tip, trunk):
            return trunk, _between(trunk, tip)
    raise refuse(add, "adds two branches that both have layers", "a step adds a layer's output to "
                 "that layer's own input. Move the fork there, or use one chain")


def _comes_from(tip: Any, trunk: Any) -> bool:
    while tip._keras_history != trunk._keras_history:
        layer, node_index, _ = tip._keras_history
        inputs = _inputs(layer, layer._inbound_nodes[node_index])
        if len(inputs) != 1:  # the model's input, or a sum: a branch has none in it
            return False
        tip = inputs[0]
    return True


def _inputs(layer: Any, node: Any) -> list[Any]:
    """Tensors that a call of a layer got, masks left out."""
    masks = _tensors(node.arguments.kwargs.get("mask"))
    for name, value in node.arguments.kwargs.items():
        if name != "mask" and _tensors(value):
            raise refuse(layer, f"is given the tensor {name} by another layer", "a step's state "
                         "begins at zero, and one value goes in. Leave it out")
    for mask in masks:
        _check_mask(layer, mask)
    given = {id(mask) for mask in masks}
    return [tensor for tensor in node.input_tensors if id(tensor) not in given]


def _check_mask(layer: Any, mask: Any) -> None:
    """Refuse a mask that no Masking or Embedding made: a step has those frames held."""
    history = getattr(mask, "_keras_history", None)
    kind = type(history.operation).__name__ if history else ""
    if kind == "NotEqual" or history is None:
        return
    if kind not in MASK_OPS:
        raise refuse(layer, f"has a mask made by {kind or 'hand'}", "a step is held where a "
                     "Masking or Embedding(mask_zero=True) masks. Use one of those")
    for before in history.operation._inbound_nodes[history.node_index].input_tensors:
        _check_mask(layer, before)


def _tensors(value: Any) -> list[Any]:
    """Keras tensors in a call's argument."""
    several = value if isinstance(value, list | tuple) else [value]
    return [one for one in several if hasattr(one, "_keras_history")]
