"""``--target esphome``: a model for the stock component micro_wake_word, and its manifest."""
