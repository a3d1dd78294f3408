"""Where detections go."""

COMMAND_TIMEOUT_S = 10.0
"""Seconds after which a command is taken to hang."""
LOG_MEGABYTES = 10.0
"""Size of a full log.  Both are here, so that a stream without them need not load them."""
