"""dsvc gc."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import TEXT
from dsvc.cli.progress import Report, progress
from dsvc.cli.remote import agree, is_watched
from dsvc.cli.render import dry_run_option, json_option, note, out, plural, print_json, shown, size
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.collecting.plan import Amount, Plan
    from dsvc.core.repository import Repository
    from dsvc.model.view import Ref
    from dsvc.store.sweep import Swept

_WORDS = {
    "unreached": ("object", "that nothing reaches"),
    "operations": ("operation", "older than is kept"),
    "purged": ("object", "of purged media"),
    "twice": ("object", "stored twice"),
    "leftover": ("file", "left over by work that broke off"),
}


@click.command("gc")
@click.option("--remote", metavar="NAME", type=TEXT, help="Collect this remote, not the repository here.")
@click.option("--keep", metavar="AGE", type=TEXT, help="Keep what operations younger than this need: 30d.")
@click.option("--grace", metavar="AGE", type=TEXT, help="Spare what was written later than this: 1d; at a remote 14d.")
@click.option("--pins", is_flag=True, help="Drop the pins of commits that no dsvc.lock in Git's history names.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run_option
@json_option
@shared_options
@pass_session
def gc_command(
    session: Session,
    remote: str | None,
    keep: str | None,
    grace: str | None,
    pins: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Free the room of what nothing needs any more.

    What stays: all that datasets, branches, versions, drafts, pins and remotes' branches reach, and all that they
    reached at any time within --keep, so that undo and op restore go back that far, and no further. AGE is a number
    with m, h, d or w (minutes, hours, days, weeks) behind it, or now.

    What was written within --grace stays too, since somebody may be about to use it. Others may go on working
    meanwhile; with a shorter --grace, those whose work takes longer than half of it have to start again.

    It says first what it would free. Before it collects a remote, or keeps less than usual, it asks.

    \b
    JSON: {"remote": NAME or null, "keep", "grace": in seconds, "objects": how many there were, "operations": how many
           are kept, "freed": {"count", "bytes"}, what goes, "reasons": [{"reason": "unreached" | "operations" |
           "purged" | "twice" | "leftover", "count", "bytes"}...], "spared": {"count", "bytes"}, what would go but for
           --grace, "pins": how many are dropped, "damaged": [{"pack", "text"}...] that stay as they are,
           "files": {"removed", "bytes", "written"} or null where nothing was done, "dry_run"}
    """
    from dsvc.core.collecting.age import parse_age
    from dsvc.core.collecting.collector import GRACE, KEEP, REMOTE_GRACE, Collector
    from dsvc.core.collecting.pins import drop_pins

    if pins and remote is not None:
        raise UsageError("--pins asks the Git history of this project, and others may use the remote", "leave one out")
    seconds = KEEP if keep is None else parse_age(keep)
    usual = GRACE if remote is None else REMOTE_GRACE
    spare = usual if grace is None else parse_age(grace)
    repository = session.repository(signed=pins)
    with ExitStack() as stack:
        target = repository if remote is None else _open(session, stack, repository, remote, yes)
        idle = _idle_pins(repository) if pins else frozenset()
        watch = _Watch()
        collector = Collector(target, keep=seconds, grace=spare, is_far=remote is not None, progress=watch)
        with watch.watched():
            plan = collector.look(idle)._replace(pins=len(idle))
        if not as_json:
            _tell(plan, spare, dry_run)
        swept = None
        if not dry_run:
            _ask(remote, seconds < KEEP, yes)
            with watch.watched():
                drop_pins(target, idle)
                outcome = collector.run()
            # By then others may have written, so what went is told anew.
            plan, swept = outcome.plan._replace(pins=len(idle)), outcome.swept
    if as_json:
        head = {"remote": remote, "keep": seconds, "grace": spare}
        print_json({**head, **_json(plan, swept), "dry_run": dry_run})
    elif swept is not None:
        _tell_done(swept)
    if swept is not None and swept.failure is not None:
        note(f"note: files that are listed no more could not be removed: {shown(swept.failure)}")


class _Watch:
    """Passes the progress of a collection on, while somebody watches."""

    def __init__(self) -> None:
        self._report: Report | None = None

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if self._report is not None:
            self._report(what, done, total)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Show the progress of what is done inside."""
        with progress() as self._report:
            yield
        self._report = None


def _open(session: Session, stack: ExitStack, repository: Repository, name: str, yes: bool) -> Repository:
    """A remote as a repository; what is found wrong with it from then on is told as the remote's."""
    from dsvc.remote.guarded import blaming
    from dsvc.remote.opening import open_remote
    from dsvc.remote.settings import find_remote

    chosen = find_remote(repository, name)
    agree(repository, chosen, yes)
    target = open_remote(repository, chosen)
    session.remote = chosen.name
    stack.enter_context(blaming(chosen.name))
    return target


def _idle_pins(repository: Repository) -> frozenset[Ref]:
    from dsvc.core.collecting.pins import idle_pins
    from dsvc.git.pins import locked_anywhere

    locked = locked_anywhere(repository.root)
    if locked is None:
        raise RefusedError("this project is in no Git repository, which --pins asks", "leave --pins out")
    return idle_pins(repository, lambda dataset, commit: (dataset, commit) in locked)


def _ask(remote: str | None, keeps_less: bool, yes: bool) -> None:
    """Ask before what others may miss goes. Raises RefusedError where nobody agrees."""
    if yes or (remote is None and not keeps_less):
        return
    what = "what is gone cannot be undone" if remote is None else f"{shown(remote)} is collected for all who use it"
    if not is_watched():
        raise RefusedError(f"{what}; nothing was changed", "see what would go: --dry-run; and agree: --yes")
    if not click.confirm(f"{what}; go on?", err=True):
        raise RefusedError("nothing was changed", "see what would go: dsvc gc --dry-run")


def _tell(plan: Plan, grace: int, dry_run: bool) -> None:
    from dsvc.core.collecting.age import age_words

    would = "would free" if dry_run else "frees"
    for name, amount in plan.reasons.items():
        if amount.number:
            noun, why = _WORDS[name]
            out(f"{would} {plural(amount.number, noun)} {why}: {size(amount.bytes)}")
    if plan.pins:
        out(f"{'would drop' if dry_run else 'drops'} {plural(plan.pins, 'pin')} that no dsvc.lock names")
    if plan.young.number:
        spared = f"{plural(plan.young.number, 'object')}, {size(plan.young.bytes)}"
        out(f"spares what was written within {age_words(grace)}: {spared}")
    if not plan.freed.number:
        out("nothing to free")


def _tell_done(swept: Swept) -> None:
    out(f"removed {plural(swept.files, 'file')}, {size(swept.bytes)}; wrote {size(swept.written)} in their place")
    for pack, error in swept.damaged.items():
        note(f"damaged: pack {pack.short()} stays as it is: {shown(error.message)}")
    if swept.damaged:
        note("hint: dsvc check, then dsvc check --repair")


def _json(plan: Plan, swept: Swept | None) -> dict[str, Any]:
    files = None
    if swept is not None:
        files = {"removed": swept.files, "bytes": swept.bytes, "written": swept.written}
    damaged = swept.damaged if swept is not None else {}
    return {
        "objects": plan.objects,
        "operations": plan.operations,
        "freed": _amount(plan.freed),
        "reasons": [{"reason": name, **_amount(amount)} for name, amount in plan.reasons.items()],
        "spared": _amount(plan.young),
        "pins": plan.pins,
        "damaged": [{"pack": pack.hex(), "text": error.message} for pack, error in damaged.items()],
        "files": files,
    }


def _amount(amount: Amount) -> dict[str, int]:
    return {"count": amount.number, "bytes": amount.bytes}
