"""What tellers of stories share: commands that people type, and exactly what each of them sees."""

import difflib
import re

# Whoever types, then the command; a command that fails tells its exit code in the last line of what it prints.
LINE = re.compile(r"^(Ada|Bo)\$ (.*)$", re.M)


class Storyteller:
    """Runs the commands of a story and writes down what they print. Ids go by names that can be used in commands."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._minutes = 0

    def __call__(self, story: str) -> None:
        """Run a story and compare all that is printed."""
        told = self.told(story)
        assert told == story, "\n".join(difflib.unified_diff(story.splitlines(), told.splitlines(), lineterm=""))

    def do(self, story: str) -> None:
        """Run commands that must succeed, whatever they print."""
        told = self.told(story)
        assert "\nexit " not in told, told

    def told(self, story: str) -> str:
        """A story's commands, each with what it prints."""
        return "".join(f"{who}$ {line}\n{self.run(who, line)}" for who, line in LINE.findall(story))

    def id(self, name: str) -> str:
        """The id that a name stands for."""
        return next(id for id, known in self._names.items() if known == name)

    def run(self, who: str, line: str) -> str:
        """What a command prints, and its exit code where that is not 0."""
        raise NotImplementedError
