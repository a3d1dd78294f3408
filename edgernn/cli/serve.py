"""`edgernn serve`: listen for others, who send their audio over the network."""

import asyncio
import functools
import json
import signal
import sys
from typing import Any
from urllib.parse import urlparse

import click

from edgernn.cli.listening import (
    WantedModels,
    check_thresholds,
    detector_of,
    drift_of,
    model_options,
    named,
)
from edgernn.cli.sections import Sectioned
from edgernn.cli.sinks import Sinks, WantedSinks, sink_options
from edgernn.errors import ModelError
from edgernn.hosts import is_loopback
from edgernn.sinks.home_assistant import Told


@click.command(cls=Sectioned)
@functools.partial(model_options, streaming=False)
@click.option("--wyoming", "uri", metavar="URI", required=True,
              help="Serve wake words here by the protocol Wyoming: tcp://127.0.0.1:10400, or "
                   "unix:///PATH.")
@click.option("--any-network", is_flag=True,
              help="Let --wyoming be an address that other machines reach. The protocol has "
                   "neither passwords nor encryption: use it in a network you trust.")
@sink_options
def command(wanted_models: WantedModels, uri: str, any_network: bool,
            wanted_sinks: WantedSinks) -> None:
    """Hear what clients send, and tell them when a wake word was said.

    Each client has a stream of its own, at any sample rate. Prints one JSON line per
    detection, as `edgernn stream` does; `input` is the client, `time_s` counts from the
    start of its audio. Ctrl-C ends it.

    \b
      edgernn serve --wyoming tcp://127.0.0.1:10400
      edgernn serve --wyoming tcp://0.0.0.0:10400 --any-network --model kws.tflite
    """
    if wanted_sinks.web is not None:
        raise click.UsageError("--web shows one stream, of `edgernn stream`; here there are as "
                               "many as clients. Leave it out")
    _check_network(uri, any_network)
    words = _wake_words(wanted_models)
    labels = tuple(dict.fromkeys(word.label for word in words.words.values()))
    sinks = Sinks(wanted_sinks, labels, live=True, recorded=False,
                  told=Told(wanted_models.paths[0].name, labels))
    try:
        with sinks:
            told = asyncio.run(_serve(words, uri, sinks))
    finally:
        sinks.close()
    print("edgernn: " + json.dumps({"detections": told, "sinks_dropped": sinks.dropped}),
          file=sys.stderr)


async def _serve(words: Any, uri: str, sinks: Sinks) -> int:
    """Serve until a signal says stop; give how many detections there were."""
    from edgernn.serve.wyoming import Server

    told = 0

    def tell(found: Any) -> None:
        nonlocal told
        told += 1
        sinks.detection(found)

    server = Server(words, uri, tell)
    address = await server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.end)
    backends = dict.fromkeys(model.runtime.name for model in words.models.values())
    print(f"edgernn: serving {address}, {', '.join(backends)}, listening for "
          f"{', '.join(words.words)}", file=sys.stderr, flush=True)
    await server.until_ended()
    return told


def _wake_words(wanted: WantedModels) -> Any:
    """The models of the command line, opened."""
    from edgernn.ensemble import Gate
    from edgernn.serve.wake_words import WakeWords

    models = {}
    for name, path in named(wanted.paths).items():
        models[name] = wanted.open(path)
        parts = models[name].spec.parts
        if parts:
            raise ModelError(f"{path} has the parts {', '.join(parts)}; a model of one part, "
                             "which steps through a stream, was needed. Serve such a one")
    check_thresholds(wanted.thresholds, list(models.values()))
    gate = wanted.open(wanted.gate_path) if wanted.gate_path else None
    return WakeWords(
        models, {name: detector_of(model.spec, model.labels, wanted)
                 for name, model in models.items()},
        {name: drift_of(model.spec, wanted) for name, model in models.items()},
        (lambda: Gate(gate.fork(), wanted.gate_open_s, wanted.gate_before_s)) if gate else None)


def _check_network(uri: str, any_network: bool) -> None:
    """Whether the address is one to listen at."""
    try:
        address = urlparse(uri)
        fine = (address.scheme == "unix" and address.path) or (
            address.scheme == "tcp" and address.hostname and address.port is not None)
    except ValueError:  # a port that is none
        fine = False
    if not fine:
        raise click.UsageError(f"--wyoming {uri}: tcp://HOST:PORT or unix:///PATH was needed")
    if address.scheme == "unix" or is_loopback(address.hostname or ""):
        return
    if not any_network:
        raise click.UsageError(
            f"--wyoming {uri} can be reached from other machines, and Wyoming has neither "
            "passwords nor encryption: whoever reaches it may use it and learn what is heard. "
            "Use tcp://127.0.0.1:PORT, or add --any-network in a network you trust")
    print(f"edgernn: {uri} can be reached from other machines; Wyoming has neither passwords nor "
          "encryption", file=sys.stderr)
