"""edgernn as a service of systemd: the unit, and what the running process tells it."""
