"""The application that all commands belong to, and the decorator that adds one."""

from __future__ import annotations

from collections.abc import Callable

import typer

app = typer.Typer(
    name="nearmetal",
    no_args_is_help=True,
    add_completion=False,  # the command `completion` prints it; nothing installs itself
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes cut words off on narrow terminals, and do not suit a pipe
    context_settings={"help_option_names": ["--help", "-h"]},
)


def command(
    *examples: str, name: str | None = None, epilog: str = "", hidden: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that registers a command.

    Examples are shown as typed, without wrapping. The list of commands shows the first paragraph
    of each command's docstring.
    """
    lines = (f"  {line}" if line.startswith(" ") else f"  nearmetal {line}" for line in examples)
    below = "\b\n" + "\n".join(("Examples:", *lines)) if examples else epilog

    def made(function: Callable[..., None]) -> Callable[..., None]:
        first = " ".join((function.__doc__ or "").partition("\n\n")[0].split())
        return app.command(name, epilog=below, short_help=first, hidden=hidden)(function)

    return made
