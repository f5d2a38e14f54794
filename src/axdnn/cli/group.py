"""How a group of commands is made: plain help, one style of errors, help for a bare call."""

from __future__ import annotations

import typer


def group(help: str) -> typer.Typer:
    """Return a group of commands that prints its help when it is called without one.

    Args:
        help: one sentence.
    """
    app = typer.Typer(
        help=help,
        invoke_without_command=True,
        no_args_is_help=False,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def _bare(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    return app
