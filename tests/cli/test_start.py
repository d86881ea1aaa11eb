"""Starting up: what is imported, and what --help says of every command."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from dsvc import __version__
from dsvc.cli.main import COMMANDS, cli

HEAVY = {
    "blake3", "dulwich", "duckdb", "google", "imagesize", "msgpack", "msgspec", "numpy", "obstore", "orjson", "PIL",
    "pycocotools", "rich", "tomlkit", "xxhash", "zstandard", "dsvc.core", "dsvc.model", "dsvc.store", "dsvc.formats",
}  # fmt: skip


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_start_up_imports_nothing_heavy(option: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "dsvc.cli.main", option]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    names = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "click" in names
    assert not {name for name in names if name in HEAVY or name.split(".")[0] in HEAVY}


def test_version(dsvc) -> None:
    assert dsvc("--version") == (0, f"dsvc {__version__}\n", "")


def all_commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for child, subcommand in command.commands.items():
                yield f"{name} {child}", subcommand


@pytest.mark.parametrize(("name", "command"), list(all_commands()), ids=lambda value: str(value))
class TestEveryCommand:
    def test_help_names_the_options(self, dsvc, name: str, command: click.Command) -> None:
        result = dsvc(*name.split(), "--help")
        assert result.out.startswith("Usage: ")
        assert result.err == ""
        if name != "demo":
            assert "-C DIR" in result.out
            assert "-d, --dataset NAME" in result.out

    def test_help_line_of_the_table_is_that_of_the_command(self, dsvc, name: str, command: click.Command) -> None:
        if name in COMMANDS:
            assert (command.help or "").split("\n\n")[0] == COMMANDS[name][1]

    def test_json_is_described(self, dsvc, name: str, command: click.Command) -> None:
        takes_json = any("--json" in parameter.opts for parameter in command.params)
        assert takes_json == ("JSON" in (command.help or ""))

    def test_what_takes_away_can_be_tried(self, dsvc, name: str, command: click.Command) -> None:
        if name in ("rm", "delete", "discard", "version delete"):
            assert any("--dry-run" in parameter.opts for parameter in command.params)

    def test_unknown_option(self, dsvc, name: str, command: click.Command) -> None:
        result = dsvc(*name.split(), "--nonsense", code=2)
        if not isinstance(command, click.Group):
            assert "--nonsense" in result.err
            assert result.err.endswith(f"hint: see: dsvc {name} --help\n")


def test_an_unknown_command_names_those_near_it(dsvc) -> None:
    assert dsvc("comit", code=2).err == "error: no command 'comit'; did you mean commit?\nhint: see: dsvc --help\n"


def test_no_command_shows_the_help(dsvc) -> None:
    result = dsvc(code=2)
    assert "Datasets:" in result.out + result.err
