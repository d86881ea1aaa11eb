"""The layers: imports point down only, and only the command touches the terminal and the environment."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dsvc"
LAYERS = ("errors", "store", "model", "core", "formats", "remote", "git", "cli")
# Formats, remotes and git stand side by side.
SIDE_BY_SIDE = {"formats", "remote", "git"}
OUTSIDE = {"os.environ", "os.getenv", "sys.stdout", "sys.stderr", "sys.exit", "sys.argv", "Path.home"}
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def layer_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide a name's layer"
            yield node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_point_down_only(path: Path) -> None:
    own = path.parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for name in imports(path):
        if name == "dsvc" or not name.startswith("dsvc."):
            continue
        other = layer_of(name)
        assert LAYERS.index(other) <= LAYERS.index(own), f"{path} imports {name}"
        if own in SIDE_BY_SIDE and other in SIDE_BY_SIDE:
            assert own == other, f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_only_the_command_touches_the_terminal_and_the_environment(path: Path) -> None:
    # A cloud's credentials are taken from where its own tools take them, for the library's users, too.
    if path.parts[0] == "cli" or path in (Path("git/hooks.py"), Path("store/profiles.py")):
        return
    assert not {"click", "rich", "getpass"} & {name.split(".")[0] for name in imports(path)}
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert f"{node.value.id}.{node.attr}" not in OUTSIDE, f"{path}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "input"), f"{path}:{node.lineno}"


def test_dulwich_lives_in_git_only() -> None:
    users = {path.parts[0] for path in MODULES if any(name.split(".")[0] == "dulwich" for name in imports(path))}
    assert users <= {"git"}
