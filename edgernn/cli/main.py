"""The command `edgernn`: one verb a file, loaded when it is called."""

import importlib
import os
import sys
from typing import NoReturn

import click

import edgernn
from edgernn.errors import EdgernnError

VERBS = {
    "new": "Make a wake word model from nothing but its phrase.",
    "record": "Record your own clips, checked and trimmed.",
    "synth": "Make data from nothing: a phrase, spoken by many voices.",
    "features": "Compute features of recordings once, here or on many machines.",
    "train": "Learn a recurrent model from recordings or sensor logs.",
    "quantize": "Turn a trained run or a Keras model into one int8 .tflite step.",
    "diagnose": "Look into a trained run: gradients, gates, units, states, in plots.",
    "compare": "Train a grid of cells and widths: which one for my device?",
    "finetune": "Train a run on in integers, so that less is lost.",
    "personalize": "Let a trained run learn one voice from a few clips.",
    "evaluate": "Count what a model gets right, and in audio what it misses and mistakes.",
    "calibrate": "Choose a model's thresholds for a wanted rate of false alarms.",
    "export": "Turn a model into C for microcontrollers.",
    "simulate": "Run an exported project on this machine.",
    "generate": "Let a model go on by itself: music or text.",
    "stream": "Drive a model over a microphone, a file or a pipe.",
    "devices": "List the microphones, or show how loud one is.",
    "serve": "Listen for others: a wake word server for Home Assistant.",
    "info": "Show what a model is.",
    "lint": "Say where a model runs, op by op.",
    "attach": "Put edgernn.json back behind a model that has lost it.",
    "bench": "Measure what a step costs here.",
    "doctor": "Say what works on this machine, and how to mend the rest.",
    "service": "Keep a stream running, by systemd.",
    "completion": "Print a completion script for your shell.",
}

FAILED = 1


class Verbs(click.Group):
    """A group whose commands are imported only when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order of a session."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name."""
        if cmd_name not in VERBS:
            return None
        found: click.Command = importlib.import_module(f"edgernn.cli.{cmd_name}").command
        found.name = cmd_name
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb; a reader of our output that has had enough, as `| head`, is no failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Python flushes stdout once more on its way out, so it gets somewhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from edgernn.interpreter import available

    found = ", ".join(f"{name} {version}" for name, version in available().items())
    click.echo(f"edgernn {edgernn.__version__} (interpreters: {found or 'none'})")
    ctx.exit()


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]},
               no_args_is_help=True)
@click.option("--version", is_flag=True, callback=_print_version, expose_value=False,
              is_eager=True, help="Print the version and the interpreters found, and exit.")
def cli() -> None:
    """Recurrent networks on small devices in real time.

    Results go to stdout as JSON lines, talk to stderr. Exit codes: 0 done, 1 failed,
    2 used wrongly. EDGERNN_DEBUG=1 shows where an error came from.
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit; every error is one line, unless EDGERNN_DEBUG is set."""
    try:
        code = cli.main(arguments, prog_name="edgernn", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(_say("stopped", FAILED))
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except click.exceptions.Exit as wish:
        sys.exit(wish.exit_code)
    except EdgernnError as problem:
        _debug()
        sys.exit(_say(str(problem), FAILED))
    except OSError as problem:  # a full disk behind stdout, a file that went away
        _debug()
        sys.exit(_say(f"{problem}. Make room or permit it, then run this again", FAILED))
    except Exception as problem:
        _debug()
        sys.exit(_say(f"{type(problem).__name__}: {problem}. This is a defect of edgernn; "
                      "EDGERNN_DEBUG=1 shows where", FAILED))
    # What a verb asked for with Exit; whatever it returned otherwise is none.
    sys.exit(code if type(code) is int else 0)


def _say(what: str, code: int) -> int:
    print(f"edgernn: {what}", file=sys.stderr)
    return code


def _debug() -> None:
    """Let the traceback through where it was asked for."""
    if os.environ.get("EDGERNN_DEBUG"):
        raise
