"""``--target esphome``: a model for the stock component micro_wake_word, and its manifest."""

from firmware_export.esphome.project import esphome_project

__all__ = ["esphome_project"]
