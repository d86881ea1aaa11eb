"""dsvc commit, log."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.author import signed
from dsvc.cli.graph import Graph
from dsvc.cli.render import (
    author_json,
    counts_text,
    holdings,
    iso,
    json_option,
    out,
    plural,
    print_json,
    print_json_list,
    shown,
    subject,
    table,
    when,
)
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.looking_back import LoggedCommit
    from dsvc.git.pins import Pin
    from dsvc.model.commit import Author, Moment
    from dsvc.store.ids import ObjectId


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
    out(f"[{dataset.name} {dataset.branch} {logged.id.short()}] {shown(subject(message))}")
    made = dataset.draft()
    out(f"holds {holdings(made.counts())}")
    if conflicts := made.snapshot.conflicts:
        out(f"{plural(conflicts, 'record')} with open conflicts; next: dsvc conflicts")
    else:
        out("next: dsvc version create, or dsvc log")


@click.command("log")
@click.argument("revision", metavar="[REV]", type=TEXT, default="HEAD")
@click.option("--key", metavar="KEY[#ANN]", type=TEXT, help="Only commits that changed this input or its annotations.")
@click.option("--graph", is_flag=True, help="Draw which commit follows which.")
@click.option("--oneline", is_flag=True, help="One line a commit.")
@click.option("--stat/--no-stat", default=None, help="Count what each commit changed, or do not.")
@click.option("-n", "--number", metavar="N", type=click.IntRange(min=0), help="At most this many.")
@click.option("--git", is_flag=True, help="List Git's commits that pinned another commit of the dataset, by dsvc.lock.")
@json_option
@shared_options
@pass_session
def log_command(
    session: Session,
    revision: str,
    key: str | None,
    graph: bool,
    oneline: bool,
    stat: bool | None,
    number: int | None,
    git: bool,
    as_json: bool,
) -> None:
    """List the commits, the last first.

    All that REV (by default HEAD) is built on, a commit before its parents, with what it changed against its first
    parent: `+` added, `-` removed, `~` changed. What sources delivered is no commit of its own here. With --key, merges
    are passed over that took what one of their parents had. Of a bucket or a web server (-R), nothing is counted
    without --stat: that reads far more than the history.

    \b
    JSON: {"commits": [{"id", "parents": [ID...], "author": {"name", "email"}, "time", "message",
           "versions": [NAME...], "branches": [NAME...], "sources": {NAME: ID of what was taken in from it},
           "stat": {NOUN: {"added", "removed", "changed"}}, with --stat, or where it is near}]}
          with --git: {"dataset", "pins": [{"git": ID of Git's commit, "author", "time", "subject", "branch",
                       "commit": ID or null where it is pinned no more, "version": NAME or null}...]}
    """
    if git:
        _log_git(session, revision, number, key is not None or graph or oneline or stat is False, as_json)
        return
    if graph and as_json:
        raise UsageError("--graph draws a picture, and --json has none", "the parents of each commit are in --json")
    dataset = session.dataset()
    found = dataset.log(revision, key)
    name = dataset.at(revision).revision.dataset
    owner = dataset if name == dataset.name else dataset.repository.dataset(name)
    counts = stat if stat is not None else not dataset.repository.store.is_distant
    page = _Page(owner, stat=counts, oneline=oneline, graph=Graph() if graph else None)
    commits = itertools.islice(found, number)
    if as_json:
        print_json_list({}, "commits", (page.json(logged) for logged in commits))
        return
    count = 0
    for count, logged in enumerate(commits, 1):
        for line in page.lines(logged, is_first=count == 1):
            out(line)
    if not count and number != 0:
        out(_nothing(dataset, key))


def _log_git(session: Session, revision: str, number: int | None, has_more: bool, as_json: bool) -> None:
    """List what Git's commits pinned; REV is one of Git's revisions."""
    from dsvc.git.pins import list_pins

    if has_more:
        raise UsageError("--git goes with -n, --json and one of Git's revisions alone", "dsvc log --git [REV]")
    dataset = session.dataset()
    pins = itertools.islice(list_pins(dataset.repository.root, revision, dataset.name), number)
    if as_json:
        print_json_list({"dataset": dataset.name}, "pins", (_pin_json(pin) for pin in pins))
        return
    rows = list(pins)
    for row in table(
        (pin.git[:10], when(pin.time), _pinned(pin), shown(pin.author), shown(pin.subject)) for pin in rows
    ):
        out(row.rstrip())
    if not rows and number != 0:
        out(f"no commit of Git's pins {dataset.name} yet; next: dsvc lock, then git commit")


def _pinned(pin: Pin) -> str:
    """What a commit of Git's pins, in words."""
    from dsvc.core.repository import MAIN

    if pin.line is None:
        return "pinned no more"
    more = [name for name in (pin.line.version, pin.line.branch) if name not in (None, MAIN)]
    return pin.line.commit.short() + (f" ({', '.join(map(str, more))})" if more else "")


def _pin_json(pin: Pin) -> dict[str, Any]:
    line = pin.line
    return {
        "git": pin.git,
        "author": pin.author,
        "time": iso(pin.time),
        "subject": pin.subject,
        "branch": line.branch if line is not None else None,
        "commit": line.commit.hex() if line is not None else None,
        "version": line.version if line is not None else None,
    }


def _nothing(dataset: Dataset, key: str | None) -> str:
    """What to say where no commit is listed. Raises NotFoundError for a key that is nowhere."""
    if key is None:
        return "no commits yet; next: dsvc add PATH, then dsvc commit -m TEXT"
    if all(record.brought is None for record in dataset.blame(key)):
        return f"no commit has {shown(key)}: it is staged; next: dsvc commit -m TEXT"
    return f"no commit behind this revision has {shown(key)}"


class _Page:
    """Commits as lines and as JSON."""

    def __init__(self, dataset: Dataset, *, stat: bool, oneline: bool, graph: Graph | None) -> None:
        self._dataset = dataset
        self._stat, self._oneline, self._graph = stat, oneline, graph
        self._versions: dict[bytes, list[str]] = {}
        for name, version in dataset.versions():
            self._versions.setdefault(version.commit, []).append(name)
        self._branches: dict[bytes, list[str]] = {}
        for branch in dataset.branches():
            if branch.id is not None:
                self._branches.setdefault(branch.id, []).append(branch.name)
        # Where there is but one, its name tells nothing.
        self._names_branches = len(dataset.branches()) > 1

    def lines(self, logged: LoggedCommit, is_first: bool) -> Iterator[str]:
        """One commit, in its place in the picture if there is one."""
        text = [self._short(logged)] if self._oneline else list(self._long(logged))
        if self._graph is None:
            if not self._oneline and not is_first:
                yield ""
            yield from text
            return
        drawn = self._graph.draw(logged.id, logged.parents)
        yield from drawn.before
        more = len(drawn.rows) if self._oneline else max(len(drawn.rows), len(text) + bool(drawn.more))
        rows = [*drawn.rows, *[drawn.more] * (more - len(drawn.rows))]
        width = max(map(len, rows[: len(text)]))
        for row, line in itertools.zip_longest(rows, text, fillvalue=""):
            yield f"{row.ljust(width) if line else row} {line}".rstrip()

    def _short(self, logged: LoggedCommit) -> str:
        return f"{logged.id.short()}{self._names(logged.id)} {shown(subject(logged.commit.message))}"

    def _long(self, logged: LoggedCommit) -> Iterator[str]:
        commit = logged.commit
        yield f"commit {logged.id.short()}{self._names(logged.id)}"
        parents = self._dataset.history.parents(logged.id)
        if len(parents) > 1:
            yield f"merge  {' '.join(parent.short() for parent in parents)}"
        yield f"author {shown(str(commit.author))}"
        yield f"date   {when(commit.time)}"
        for name in self._dataset.history.sources(logged.id):
            yield f"source {shown(name)}"
        if self._stat:
            yield f"change {counts_text(self._dataset.change_of(logged.id))}"
        yield ""
        for line in commit.message.strip().splitlines():
            yield f"    {shown(line)}".rstrip()

    def _names(self, id: ObjectId) -> str:
        versions = self._versions.get(id, [])
        branches = self._branches.get(id, []) if self._names_branches else []
        return (f" [{', '.join(branches)}]" if branches else "") + (f" ({', '.join(versions)})" if versions else "")

    def json(self, logged: LoggedCommit) -> dict[str, Any]:
        """One commit as JSON."""
        from dsvc.cli.status import summary_json

        id = logged.id
        sources = {name: line.hex() for name, line in self._dataset.history.sources(id).items()}
        stat = {"stat": summary_json(self._dataset.change_of(id))} if self._stat else {}
        return {
            **_json(logged, self._versions),
            "branches": self._branches.get(id, []),
            "sources": sources,
            **stat,
        }


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
