"""The documentation is true: its commands run, and print what it says. `...` stands for any text or lines."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The checkout that is tested, where it is not the one that is installed.
HERE = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
LARGE = {"torch": "torch", "huggingface": "datasets"}
PAGES = sorted((*(ROOT / "docs/tutorial").glob("*.md"), *(ROOT / "docs/how-to").glob("*.md")))


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of a person with Git's user set, in an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8", **HERE}


def steps(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a page's console blocks, each with the output that it claims; and of its Python blocks that begin
    with the name of a file, as a comment, `write NAME` with what is to be in it."""
    for kind, block in re.findall(r"^```(console|python)\n(.*?)^```", text, re.S | re.M):
        if kind == "python":
            if name := re.match(r"# (\w+\.py)\n", block):
                yield f"write {name[1]}", block
            continue
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def require_extras(text: str) -> None:
    """Skip a page of a library that is large, and not here."""
    for extra in re.findall(r"'dsvc\[(\w+)\]'", text):
        if extra in LARGE:
            pytest.importorskip(LARGE[extra], reason=f"the page needs: pip install 'dsvc[{extra}]'")


def pattern(output: str) -> str:
    """A regular expression for an output: a line `...` is any number of lines, `...` within a line any text."""
    lines = [r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + "\n"
             for line in output.rstrip("\n").split("\n")]  # fmt: skip
    return "".join(lines) if output.strip() else ""


def run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_print_what_the_page_says(
    page: Path, tmp_path: Path, shell: dict[str, str], request: pytest.FixtureRequest
) -> None:
    text, folder, ran = page.read_text(encoding="utf-8"), tmp_path, 0
    require_extras(text)
    if page.stem == "share-through-a-bucket":
        shell |= request.getfixturevalue("bucket_server").environment
    for command, output in steps(text):
        if command.startswith("write "):
            (folder / command[6:]).write_text(output, encoding="utf-8")
            continue
        if command.startswith("cd "):
            folder = folder / command[3:]
            continue
        printed = run(command, folder, shell).stdout
        assert re.fullmatch(pattern(output), printed), f"{command}\n{printed}"
        ran += 1
    assert ran > 5


def write_pets(folder: Path) -> None:
    """What the README's reader has: images and a COCO file."""
    import json

    (folder / "images").mkdir(parents=True)
    for name in ("cat1.jpg", "dog1.jpg"):
        (folder / "images" / name).write_bytes(b"\xff\xd8\xff" + name.encode())
    images = [
        {"id": n, "file_name": f"{name}.jpg", "width": 640, "height": 480} for n, name in enumerate(("cat1", "dog1"))
    ]
    annotations = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "instances.json").write_text(json.dumps(document))


def test_the_sixty_second_tour(tmp_path: Path, shell: dict[str, str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tour = text[text.index("## Sixty seconds") : text.index("## In Python")]
    write_pets(tmp_path / "pets")
    commands = re.findall(r"^    (dsvc .*?)(?:  +#.*)?$", tour, re.M)
    for command in commands:
        done = run(command, tmp_path / "pets", shell)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
    assert len(commands) >= 14 and (tmp_path / "pets/v2/images/cat1.jpg").exists()


@pytest.mark.parametrize("page", ["README.md", "docs/reference/library.md"])
def test_python_examples_run(page: str, tmp_path: Path, shell: dict[str, str]) -> None:
    write_pets(tmp_path / "pets")
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.S | re.M)
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path / "pets", env=shell, text=True, capture_output=True
        )
        assert done.returncode == 0, done.stderr
    assert blocks


def test_the_command_reference_is_current() -> None:
    from dsvc.cli.reference import reference

    committed = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert committed == reference(), "make it anew: python -m dsvc.cli.reference > docs/reference/cli.md"


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+\.md)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
