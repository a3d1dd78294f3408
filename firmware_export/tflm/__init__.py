"""From a model to a project that runs it in TensorFlow Lite Micro.

`targets` says for whom there is one and what each can run, `project` writes it, `arena`
measures the memory that it needs.
"""

from firmware_export.tflm.project import PRODUCTS, tflm_project
from firmware_export.tflm.targets import TARGETS

__all__ = ["PRODUCTS", "TARGETS", "tflm_project"]
