"""The real `git` without anybody's settings, and without the dsvc of the person who runs the tests."""

import os
from pathlib import Path

import pytest
from hooked import World


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All programs of the path but dsvc."""
    tools = tmp_path_factory.mktemp("tools")
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in Path(folder).glob("*") if Path(folder).is_dir() else ():
            if tool.name not in ("dsvc", "git-dsvc") and not (tools / tool.name).is_symlink():
                (tools / tool.name).symlink_to(tool)
    return tools


@pytest.fixture
def world(tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "config").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    for name in [name for name in os.environ if name.startswith(("GIT_", "DSVC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("PATH", str(tools))
    return World(tmp_path, dict(os.environ))


@pytest.fixture(autouse=True)
def git_environment() -> None:
    """The world has an environment of its own."""
