"""`edgernn completion`: a script for the shell."""

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a completion script for SHELL.

    \b
      bash:  edgernn completion bash > ~/.local/share/bash-completion/completions/edgernn
      zsh:   edgernn completion zsh > "${fpath[1]}/_edgernn"
      fish:  edgernn completion fish > ~/.config/fish/completions/edgernn.fish
    """
    from click.shell_completion import get_completion_class

    from edgernn.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None  # click.Choice let only click's own shells through
    click.echo(kind(cli, {}, "edgernn", "_EDGERNN_COMPLETE").source())
