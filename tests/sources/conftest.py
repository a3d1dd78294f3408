"""What tests of sound share."""

import pytest

from tests.sources.pulse import Pulse


@pytest.fixture
def start_pulse(tmp_path):
    """Start daemons, one after the other, that are the same to their clients."""
    daemons = []

    def start(**options):
        daemons.append(Pulse(tmp_path, **options))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.close()
