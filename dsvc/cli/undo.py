"""dsvc undo, redo, op log, op restore."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.render import author_json, iso, json_option, listed, out, print_json_list, shown, when
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import DsvcError

if TYPE_CHECKING:
    from dsvc.core.operations import LoggedOperation
    from dsvc.core.repository import Repository


@click.command("undo")
@click.option("--op", "operation", metavar="ID", type=TEXT, help="Take back this operation, not the last one.")
@shared_options
@pass_session
def undo_command(session: Session, operation: str | None) -> None:
    """Take back the last operation of this workspace.

    Again goes one further back. What moved since is named, and the command refused. `dsvc redo` comes back.
    """
    from dsvc.core.operations import undo

    repository = session.repository(signed=True)
    logged = undo(repository, operation)
    out(f"undid: {_words(repository, logged)}")
    if logged.operation.command.startswith("push "):
        out("note: what was pushed stays at the remote; undone is only what is noted here of it")
    out("dsvc redo brings it back")


@click.command("redo")
@shared_options
@pass_session
def redo_command(session: Session) -> None:
    """Take back the last undo."""
    from dsvc.core.operations import find_operation, redo

    repository = session.repository(signed=True)
    done = redo(repository)
    undone = done.operation.inverts
    assert undone is not None
    try:
        out(f"did again: {_words(repository, find_operation(repository, undone.hex()))}")
    except DsvcError:  # it was collected, and what it had moved with it
        out(f"took back: {_words(repository, done)}")


@click.group("op")
@shared_options
def op_command() -> None:
    """List operations, and go back to one.

    Every change of the repository is an operation.
    """


@op_command.command("log")
@click.option("-n", "--number", metavar="N", type=click.IntRange(min=0), help="At most this many.")
@json_option
@shared_options
@pass_session
def log(session: Session, number: int | None, as_json: bool) -> None:
    """List the operations, the last first.

    Where older ones were collected by `dsvc gc`, the last line says so.

    \b
    JSON: {"collected": whether there were older ones,
           "operations": [{"id", "parents": [ID...], "author": {"name", "email"}, "time", "workspace", "command",
           "action": "undo", "redo", "restore" or null, "inverts": ID or null}]}
    """
    from dsvc.core.operations import oldest_operation, operations

    repository = session.repository()
    found = itertools.islice(operations(repository), number)
    oldest = oldest_operation(repository)
    if as_json:
        print_json_list({"collected": oldest is not None}, "operations", map(_json, found))
        return
    for id, operation in found:
        out(f"{id.short()}  {when(operation.time)}  {shown(operation.author.name)}  {shown(operation.command)}")
        if id == oldest:
            out("older operations were collected by dsvc gc")


@op_command.command("restore")
@click.argument("operation", metavar="ID", type=TEXT)
@shared_options
@pass_session
def restore(session: Session, operation: str) -> None:
    """Set everything to what it was after an operation.

    That is an operation too, so `dsvc undo` takes it back.
    """
    from dsvc.core.operations import restore

    target = restore(session.repository(signed=True), operation)
    out(f"everything is as it was after {target.id.short()}: {shown(target.operation.command)}")
    out("dsvc undo takes this back")


def _words(repository: Repository, logged: LoggedOperation) -> str:
    """An operation in words: its command, and what it had moved."""
    from dsvc.core.operations import changed_refs, describe_ref

    moved = listed([describe_ref(ref) for ref, _, _ in changed_refs(repository, logged.operation)], 8)
    return f"{shown(logged.operation.command)}" + (f" ({moved})" if moved else "")


def _json(logged: LoggedOperation) -> dict[str, Any]:
    operation = logged.operation
    return {
        "id": logged.id.hex(),
        "parents": [parent.hex() for parent in operation.parents],
        "author": author_json(operation.author),
        "time": iso(operation.time),
        "workspace": operation.workspace,
        "command": operation.command,
        "action": operation.action,
        "inverts": operation.inverts.hex() if operation.inverts else None,
    }
