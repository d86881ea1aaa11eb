"""Git repositories with hooks in them, run by the real `git`, and a dsvc that writes down how it is called."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from dsvc.git.install.installing import Change, install

COMMIT = "0123456789abcdef" * 4
# Writes its arguments and, for a hook that gets one, its standard input into the diary; exits as `code` beside it says.
DSVC = """#!/bin/sh
printf 'ours' >>{diary}
for argument; do printf ' [%s]' "$argument" >>{diary}; done
echo >>{diary}
case $3 in pre-push | post-rewrite) sed 's/^/  /' >>{diary} ;; esac
exit "$(cat {code} 2>/dev/null || echo 0)"
"""


class World:
    """A folder with a Git repository `work` in it, and a dsvc at an awkward place."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.work = folder / "work"
        self.diary = folder / "diary"
        self.bin = folder / 'it\'s a "bin" with $HOME, %O and ümlaut\nand line'
        self.bin.mkdir()
        self.dsvc = self.bin / "dsvc"
        text = DSVC.format(diary=shlex.quote(str(self.diary)), code=shlex.quote(str(self.bin / "code")))
        self.script(self.dsvc, text)
        self.git("init", "-q", "-b", "main", str(self.work), cwd=folder)
        self.git("commit", "-q", "--allow-empty", "-m", "root")

    @property
    def hooks(self) -> Path:
        return self.work / ".git" / "hooks"

    def script(self, path: Path, text: str | bytes, mode: int = 0o755) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def theirs(self, word: str = "theirs", code: int = 0) -> str:
        """Lines of the shell that write down arguments and standard input, as another hook would."""
        diary = shlex.quote(str(self.diary))
        return f'{{ printf \'%s\' {word}; for a; do printf " [%s]" "$a"; done; echo; sed "s/^/  /"; }} >>{diary}\n' + (
            f"exit {code}\n" if code else ""
        )

    def install(self, project: Path | None = None, **options: Any) -> list[Change]:
        return install(project or self.work, self.dsvc, **options)[1]

    def git(self, *arguments: object, cwd: Path | None = None, code: int | None = 0, **environment: str) -> str:
        """Run git, and give what it prints."""
        done = subprocess.run(
            ["git", *map(str, arguments)],
            cwd=cwd or self.work,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        text = (done.stdout + done.stderr).decode(errors="surrogateescape")
        assert code is None or done.returncode == code, text
        return text

    def commit(self, text: str = "x", *arguments: str, **options: Any) -> str:
        (self.work / "file").write_text(text)
        self.git("add", "file")
        return self.git("commit", "-q", "-m", text, *arguments, **options)

    def head(self, revision: str = "HEAD") -> str:
        return self.git("rev-parse", revision).strip()

    def read_diary(self) -> str:
        """What was written down, and forget it."""
        text = self.diary.read_text(encoding="utf-8", errors="surrogateescape") if self.diary.exists() else ""
        self.diary.unlink(missing_ok=True)
        return text

    def answer(self, code: int) -> None:
        """Say what our dsvc exits with."""
        (self.bin / "code").write_text(str(code))

    def seen(self) -> dict[str, tuple[int, bytes]]:
        """Every file, its permissions and bytes, but what Git itself makes of a commit."""
        found = dict[str, tuple[int, bytes]]()
        for folder, names, files in os.walk(self.work):
            names[:] = [name for name in names if name not in ("objects", "logs")]
            for name in files + [name for name in names if (Path(folder) / name).is_symlink()]:
                path = Path(folder) / name
                if name in ("index", "COMMIT_EDITMSG", "ORIG_HEAD"):
                    continue
                content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
                found[str(path.relative_to(self.work))] = (path.lstat().st_mode, content)
        return found
