"""dsvc commit, log."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.author import signed
from dsvc.cli.render import author_json, holdings, iso, json_option, out, print_json, print_json_list, shown, when
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset, LoggedCommit
    from dsvc.model.commit import Author, Moment


@click.command("commit")
@click.option("-m", "--message", metavar="TEXT", type=TEXT, required=True, help="Why.")
@click.option("--allow-empty", is_flag=True, help="Commit even when nothing is staged.")
@signed
@json_option
@shared_options
@pass_session
def commit_command(
    session: Session,
    message: str,
    allow_empty: bool,
    author: Author | None,
    date: Moment | None,
    as_json: bool,
) -> None:
    """Commit what is staged.

    \b
    JSON: {"dataset", "branch", and of the commit as in `dsvc log --json`: "id", "parents", "author", "time",
           "message", "versions"}
    """
    dataset = session.dataset(author, signed=True)
    logged = dataset.commit(message, author, date, allow_empty)
    if as_json:
        print_json({"dataset": dataset.name, "branch": dataset.branch, **_json(logged, {})})
        return
    out(f"[{dataset.name} {dataset.branch} {logged.id.short()}] {shown(_subject(message))}")
    out(f"holds {holdings(dataset.draft().counts())}")
    out("next: dsvc version create, or dsvc log")


@click.command("log")
@click.argument("revision", metavar="[REV]", type=TEXT, default="HEAD")
@click.option("--oneline", is_flag=True, help="One line a commit.")
@click.option("-n", "--number", metavar="N", type=click.IntRange(min=0), help="At most this many.")
@json_option
@shared_options
@pass_session
def log_command(session: Session, revision: str, oneline: bool, number: int | None, as_json: bool) -> None:
    """List the commits, the last first.

    \b
    JSON: {"commits": [{"id", "parents": [ID...], "author": {"name", "email"}, "time", "message",
           "versions": [NAME...]}]}
    """
    dataset = session.dataset()
    versions = _versions(dataset.repository.dataset(dataset.at(revision).revision.dataset))
    commits = itertools.islice(dataset.log(revision), number)
    if as_json:
        print_json_list({}, "commits", (_json(logged, versions) for logged in commits))
        return
    count = 0
    for count, logged in enumerate(commits, 1):
        _print(logged, versions.get(logged.id, []), oneline, count)
    if not count and number != 0:
        out("no commits yet; next: dsvc add PATH, then dsvc commit -m TEXT")


def _versions(dataset: Dataset) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for name, version in dataset.versions():
        found.setdefault(version.commit, []).append(name)
    return found


def _print(logged: LoggedCommit, versions: list[str], oneline: bool, count: int) -> None:
    tags = f" ({', '.join(versions)})" if versions else ""
    commit = logged.commit
    if oneline:
        out(f"{logged.id.short()}{tags} {shown(_subject(commit.message))}")
        return
    if count > 1:
        out()
    out(f"commit {logged.id.short()}{tags}")
    out(f"author {shown(str(commit.author))}")
    out(f"date   {when(commit.time)}")
    out()
    for line in commit.message.strip().splitlines():
        out(f"    {shown(line)}".rstrip())


def _subject(message: str) -> str:
    return message.strip().splitlines()[0]


def _json(logged: LoggedCommit, versions: dict[bytes, list[str]]) -> dict[str, Any]:
    commit = logged.commit
    return {
        "id": logged.id.hex(),
        "parents": [parent.hex() for parent in commit.parents],
        "author": author_json(commit.author),
        "time": iso(commit.time),
        "message": commit.message,
        "versions": versions.get(logged.id, []),
    }
