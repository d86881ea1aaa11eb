"""What Git's configuration says of dsvc: how the drivers are called, and what install put where."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from dsvc.git.install import gitconfig
from dsvc.git.install.gitconfig import Section

DRIVER = "dsvc-lock"
OWN: Section = (b"dsvc", None)
MERGE: Section = (b"merge", DRIVER.encode())
DIFF: Section = (b"diff", DRIVER.encode())
_KEYS = (b"command", b"hooks", b"project", b"made", b"put")

# Both are functions of the shell, behind which Git sets arguments. What is looked for is what the hooks look for, and
# where it is not found, Git goes on with the lock as a text.
_FIND = (
    'f() {{ for c in "$(git config --get dsvc.command)" "$(command -v dsvc)"; do '
    'if [ -f "$c" ] && [ -x "$c" ]; then r=0; "$c" git {command} "$@" || r=$?; {done} fi; done; {otherwise}; }}; f'
)
_MERGE_TEXT = (
    'echo "warning: the command dsvc is not found: dsvc.lock is merged as text" >&2; '
    'git merge-file --marker-size "$5" -L ours -L base -L theirs "$2" "$1" "$3"'
)
_DIFF_TEXT = 'if [ $# = 1 ]; then cat "$1"; else git diff --no-index --no-ext-diff -- "$2" "$5"; fi; return 0'
MERGE_DRIVER = (
    _FIND.format(command="merge-driver", done="case $r in 126|127) ;; *) return $r ;; esac;", otherwise=_MERGE_TEXT)
    + " %O %A %B %P %L"
)
DIFF_DRIVER = _FIND.format(command="diff-driver", done="if [ $r = 0 ]; then return 0; fi;", otherwise=_DIFF_TEXT)


@dataclass(frozen=True)
class Record:
    """What install put into a Git repository. Paths are from the working tree's folder; `hooks` may be absolute."""

    command: str | None = None  # the dsvc that hooks and drivers call
    hooks: str | None = None  # the folder of the hooks, where it is not the usual one
    projects: tuple[str, ...] = ()
    made: tuple[str, ...] = ()  # files that were not there before
    put: tuple[str, ...] = ()  # files that got a line

    def with_project(self, project: str) -> Record:
        """The same, with a project more."""
        return replace(self, projects=_joined(self.projects, project))

    def with_made(self, path: str) -> Record:
        """The same, with a file that install makes."""
        return replace(self, made=_joined(self.made, path))

    def with_put(self, path: str) -> Record:
        """The same, with a file that install puts a line into."""
        return replace(self, put=_joined(self.put, path))

    def without_project(self, project: str) -> Record:
        """The same without a project and the files beside it."""
        projects = tuple(name for name in self.projects if name != project)
        made, put = (tuple(name for name in names if _folder(name) != project) for names in (self.made, self.put))
        return replace(self, projects=projects, made=made, put=put)


def _joined(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else tuple(sorted((*names, name), key=os.fsencode))


def _folder(name: str) -> str:
    return name.rpartition("/")[0] or "."


def read_record(config: Path) -> Record:
    """What a configuration says. Raises ValueError where it is none."""
    data = config.read_bytes() if config.exists() else b""
    found: dict[bytes, list[str]] = {key: [] for key in _KEYS}
    for _, key, value in gitconfig.read(data, [OWN]):
        if key in found:
            found[key].append(os.fsdecode(value) if key in (b"command", b"hooks") else _decoded(value))
    last = {key: values[-1] if values else None for key, values in found.items()}
    return Record(
        last[b"command"], last[b"hooks"], tuple(found[b"project"]), tuple(found[b"made"]), tuple(found[b"put"])
    )


def write_record(config: Path, record: Record | None) -> bool:
    """Write our sections of a configuration, or take them out (None); whether it changed. Raises RefusedError."""
    return gitconfig.update(config, lambda data: changed(data, record))


def would_change(config: Path, record: Record | None) -> bool:
    """Whether write_record would change a configuration."""
    data = config.read_bytes() if config.exists() else b""
    return changed(data, record) != data


def changed(data: bytes, record: Record | None) -> bytes:
    """A configuration's text with our sections as they should be. Raises ValueError where it is none."""
    rest = gitconfig.without(data, _is_ours)
    new = rest if record is None else gitconfig.appended(rest, _text(record))
    if gitconfig.without(new, _is_ours) != rest:
        raise ValueError("a backslash at its end, behind which nothing stands, takes in what would follow")
    return data if _said(new) == _said(data) else new


def drivers_in(data: bytes) -> dict[str, list[str]]:
    """What a configuration says of the two drivers: {"merge": commands, "diff": commands}."""
    merge = [os.fsdecode(value) for _, key, value in gitconfig.read(data, [MERGE]) if key == b"driver"]
    diff = [os.fsdecode(value) for _, key, value in gitconfig.read(data, [DIFF]) if key in (b"command", b"textconv")]
    return {"merge": merge, "diff": diff}


def _said(data: bytes) -> list[tuple[Section, bytes, bytes]]:
    return [said for said in gitconfig.read(data, [OWN, MERGE, DIFF]) if _is_ours(said[0], said[1])]


def _is_ours(section: Section, key: bytes) -> bool:
    keys = {OWN: _KEYS, MERGE: (b"name", b"driver"), DIFF: (b"command", b"textconv")}
    return key in keys.get(section, ())


def _text(record: Record) -> bytes:
    own = [(b"command", os.fsencode(record.command))] if record.command else []
    own += [(b"hooks", os.fsencode(record.hooks))] if record.hooks else []
    for key, names in ((b"project", record.projects), (b"made", record.made), (b"put", record.put)):
        own += [(key, _encoded(name)) for name in names]
    merge = [(b"name", b"union of two versions of the data"), (b"driver", MERGE_DRIVER.encode())]
    diff = [(b"command", DIFF_DRIVER.encode()), (b"textconv", DIFF_DRIVER.encode())]
    return b"".join(_section(section, said) for section, said in ((OWN, own), (MERGE, merge), (DIFF, diff)) if said)


def _section(section: Section, said: list[tuple[bytes, bytes]]) -> bytes:
    name, within = section
    header = b"[" + name + (b' "' + within + b'"' if within else b"") + b"]\n"
    return header + b"".join(b"\t" + key + b" = " + gitconfig.quote(value) + b"\n" for key, value in said)


def _encoded(name: str) -> bytes:
    """A path in one line, as the hooks read it."""
    return os.fsencode(name.replace("\\", "\\\\").replace("\n", "\\n"))


def _decoded(value: bytes) -> str:
    parts = os.fsdecode(value).split("\\\\")
    return "\\".join(part.replace("\\n", "\n") for part in parts)
