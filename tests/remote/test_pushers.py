"""Many clones that push to one branch at once: every commit arrives, by pull and retry.

DSVC_PUSH_ROUNDS=20 is the whole test: ten clones, so many rounds each, to a bucket and to a folder.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.remote.cloning import clone
from dsvc.remote.sending import push
from dsvc.remote.settings import add_remote

from .workspaces import is_whole

ROUNDS = int(os.environ.get("DSVC_PUSH_ROUNDS", "0"))
CLONES, COMMITS = (10, ROUNDS) if ROUNDS else (3, 2)
# What every clone does: commit, push, and where somebody was faster pull and push again.
WORKER = """
import random, sys, time
from pathlib import Path
import dsvc
from dsvc.errors import RefusedError
from dsvc.remote.pulling import pull_branch
from dsvc.remote.sending import push
from dsvc.remote.settings import find_remote

name, rounds = sys.argv[1], int(sys.argv[2])
repository = dsvc.open(".", author=dsvc.Author(name))
dataset, remote = repository.dataset("pets"), find_remote(repository)
tries = 0
for number in range(rounds):
    dataset.annotate("images/0.txt", text=f"{name} {number}")
    dataset.commit(f"{name} {number}")
    while True:
        tries += 1
        try:
            push(repository, remote, "pets", "main")
            break
        except RefusedError as error:
            assert "has commits at origin that are not here" in error.message, error.message
            pull_branch(dataset, remote)
print(tries)
"""


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_every_commit_arrives(place: str, ours: Dataset, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = str(tmp_path / "store") if place == "folder" else request.getfixturevalue("bucket_url")
    push(ours.repository, add_remote(ours.repository, "origin", url), "pets", "main")
    folders = [tmp_path / f"clone{number}" for number in range(CLONES)]
    for folder in folders:
        clone(url, folder)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, folder.name, str(COMMITS)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    answers = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * CLONES, [error for _, error in answers if error]
    last = clone(url, tmp_path / "last").repository
    dataset = last.dataset("pets")
    wanted = {f"{folder.name} {number}" for folder in folders for number in range(COMMITS)}
    assert wanted <= {a.text for sample in dataset.at() for a in sample.annotations}
    assert wanted <= {logged.commit.message for logged in dataset.log()}
    assert is_whole(last) and is_whole(dsvc.open(folders[0]))
