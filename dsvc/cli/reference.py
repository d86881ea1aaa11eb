"""The command reference as Markdown: `python -m dsvc.cli.reference > docs/reference/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from dsvc.cli.main import cli

HEAD = """# Commands

This page is made from the commands' own help. `dsvc COMMAND --help` shows the same.
"""


def reference() -> str:
    """Every command with its help, in the order of `dsvc --help`."""
    context = _context(cli, "dsvc", None)
    parts = [HEAD, "```text\n" + cli.get_help(context) + "\n```\n"]
    parts += _commands(cli, context)
    return "\n".join(parts)


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = _context(command, name, context)
        yield f"## {below.command_path}\n\n```text\n{command.get_help(below)}\n```\n"
        if isinstance(command, click.Group):
            yield from _commands(command, below)


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    # A fixed width, so that the page does not depend on the terminal it was made in.
    settings = {**cli.context_settings, "terminal_width": 100, "max_content_width": 100}
    return click.Context(command, info_name=name, parent=parent, **settings)


if __name__ == "__main__":
    click.echo(reference(), nl=False)
