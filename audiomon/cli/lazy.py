"""A group of commands each of which is imported only when it is the one that was asked for."""

import difflib
import importlib
from typing import Any

import click

from audiomon.cli.terminal_text import discard_output
from audiomon.foreign import shown


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called.

    Args:
        lazy: command -> where its function lives, as in ``package.module:function``, and its line in ``--help``, so
            that help needs no import either.
    """

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the commands' names."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None if there is no such."""
        if cmd_name not in self._lazy:
            return None
        module, _, function = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was asked for.

        Raises:
            UsageError: there is none of that name; says which one is like it.
        """
        asked = args[0]
        if asked not in self._lazy and not asked.startswith("-"):
            alike = difflib.get_close_matches(asked.lower(), self._lazy, n=1)
            hint = f"; did you mean {alike[0]!r}?" if alike else f"; there are {', '.join(self._lazy)}"
            raise click.UsageError(f"there is no command {shown(asked)!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader went away (`| head`), which is no failure; click would make it one.
            discard_output()
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands and their lines."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._lazy.items()])
