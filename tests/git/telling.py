"""Stories of people at clones of one Git repository: their commands in a real shell, and exactly what each sees."""

import os
import re
import subprocess
import sys
from pathlib import Path

from pictures import picture
from storytelling import Storyteller

# A commit of dsvc's, in full or short, or of Git's.
NAMED = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{12}|[0-9a-f]{10}|[0-9a-f]{7})(?![0-9a-f])")
TIMED = re.compile(r"2\d{3}-\d\d-\d\d \d\d:\d\d(:\d\d \+0000)?")


# A project in which data and code lie side by side: one labelled picture on Git's main branch, of five at hand.
BEGIN = """\
Ada$ git init -q
Ada$ dsvc init
Ada$ dsvc create pets -m "Cats and dogs"
Ada$ dsvc add images/a.png
Ada$ dsvc annotate images/a.png --concept cat --box 0,0,2,2
Ada$ dsvc commit -m "First picture"
Ada$ dsvc git install
Ada$ echo images > .gitignore
Ada$ git add .
Ada$ git commit -m "Begin"
"""


def begin(folder: Path) -> "Teller":
    """A teller in whose folder Ada has the project."""
    for color, name in enumerate("abcde"):
        path = folder / "ada" / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(color=color))
    teller = Teller(folder)
    teller.do(BEGIN)
    return teller


class Teller(Storyteller):
    """Runs the commands of a story, each in its person's folder, and writes down all that they print, in its order.

    Ids are called by the order in which they turn up: commits of dsvc's C1, C2, ..., what Git names G1, G2, ...; these
    names can be used in commands. The clock of commits starts at noon of a day; each command takes a minute.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, who: str, line: str) -> str:
        """What a command prints, and its exit code where that is not 0."""
        folder = self.folder / who.lower()
        folder.mkdir(exist_ok=True)
        command = re.sub(r"\b[CG]\d+\b", lambda match: self.id(match[0]), line)
        if command.startswith("dsvc commit "):
            command += f" --date {self._date}"
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=folder,
            env=self._environment(who),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self._minutes += 1
        printed = self._named(done.stdout)
        if printed and not printed.endswith("\n"):
            printed += "\n"
        return printed + (f"exit {done.returncode}\n" if done.returncode else "")

    @property
    def _date(self) -> str:
        return f"2024-05-01T{12 + self._minutes // 60:02}:{self._minutes % 60:02}:00+00:00"

    def _environment(self, who: str) -> dict[str, str]:
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        signed = {f"GIT_{role}_NAME": who for role in ("AUTHOR", "COMMITTER")}
        signed |= {f"GIT_{role}_EMAIL": f"{who.lower()}@example.org" for role in ("AUTHOR", "COMMITTER")}
        dated = {f"GIT_{role}_DATE": self._date for role in ("AUTHOR", "COMMITTER")}
        author = {"DSVC_AUTHOR_NAME": who, "DSVC_AUTHOR_EMAIL": f"{who.lower()}@example.org"}
        return {**os.environ, **signed, **dated, **author, "PATH": path, "TZ": "UTC", "COLUMNS": "200"}

    def _named(self, text: str) -> str:
        # Git wipes and writes over the line that shows how far it is.
        text = text.replace("\r", "\n").replace("\x1b[K", "").replace(str(self.folder), "")
        text = text.replace(str(Path(sys.executable).parent), "BIN")
        text = re.sub(r" +$", "", TIMED.sub("TIME", text), flags=re.M)
        return NAMED.sub(lambda match: self._name(match[0]), text)

    def _name(self, id: str) -> str:
        letter, length = ("C", 12) if len(id) in (12, 64) else ("G", 7)
        known = self._names.get(id[:length])
        if known is not None:
            return known
        count = sum(name.startswith(letter) for name in self._names.values())
        return self._names.setdefault(id[:length], f"{letter}{count + 1}")
