"""The shelf: copies that are whole or not there, shared by processes, bounded, and never believed when damaged."""

from __future__ import annotations

import multiprocessing
import os
import random
from pathlib import Path

import pytest

from dsvc.store.shelf import Shelf

GB = 1 << 30
NOISE = random.Random(1).randbytes(3_000_000)


@pytest.fixture(params=["folder", "memory"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "cache" if request.param == "folder" else None, GB)


def test_a_copy_is_read_whole_and_in_parts(shelf: Shelf) -> None:
    assert shelf.read("packs/a") is None and shelf.size("packs/a") is None
    for name, data in {"packs/a": NOISE, "index/b": b"", "blocks/a.0": b"x"}.items():
        shelf.put(name, data)
        assert shelf.size(name) == len(data)
        assert shelf.read(name) == data
    assert shelf.read("packs/a", 10, 20) == NOISE[10:30]
    assert shelf.read("packs/a", len(NOISE) - 5, 20) == NOISE[-5:]
    assert shelf.read("packs/a", len(NOISE) + 5, 20) == b""
    assert shelf.names("packs") == ["packs/a"]
    shelf.drop(["packs/a", "packs/never"])
    assert shelf.read("packs/a") is None and shelf.names("packs") == []


def test_another_process_finds_it(tmp_path: Path) -> None:
    Shelf(tmp_path, GB).put("packs/a", NOISE)
    assert Shelf(tmp_path, GB).read("packs/a", 5, 5) == NOISE[5:10]


@pytest.mark.parametrize("case", ["flipped", "cut", "longer", "empty", "other name", "zeros"])
def test_a_damaged_copy_is_no_copy(tmp_path: Path, case: str) -> None:
    Shelf(tmp_path, GB).put("packs/a", NOISE)
    path = tmp_path / "packs" / "a"
    data = path.read_bytes()
    name = "packs/b" if case == "other name" else "packs/a"
    damaged = {
        "flipped": data[:1000] + bytes([data[1000] ^ 1]) + data[1001:],
        "cut": data[:-1],
        "longer": data + b"x",
        "empty": b"",
        "other name": data,
        "zeros": bytes(len(data)),
    }[case]
    (tmp_path / name).write_bytes(damaged)
    fresh = Shelf(tmp_path, GB)
    assert fresh.read(name, 0, 10) is None
    assert not (tmp_path / name).exists()
    fresh.put(name, NOISE)
    assert fresh.read(name) == NOISE


def test_what_a_killed_process_left_is_no_copy(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, GB)
    shelf.put("packs/a", NOISE)
    (tmp_path / "packs" / "b.1234abcd.tmp").write_bytes(NOISE[:1000])
    assert Shelf(tmp_path, GB).read("packs/b") is None
    assert Shelf(tmp_path, GB).read("packs/a") == NOISE


def test_a_copy_that_another_process_took_away_is_no_copy(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, GB)
    shelf.put("packs/a", NOISE)
    Shelf(tmp_path, GB).drop(["packs/a"])
    assert shelf.read("packs/a") is None and shelf.size("packs/a") is None


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    mine, other = Shelf(tmp_path / "mine", 1_000_000, tmp_path), Shelf(tmp_path / "other", 1_000_000, tmp_path)
    other.put("packs/old", NOISE[:300_000])
    os.utime(tmp_path / "other/packs/old", (1, 1))
    for number in range(2):
        mine.put(f"packs/{number}", NOISE[:300_000])
        os.utime(tmp_path / f"mine/packs/{number}", (10 + number, 10 + number))
    assert Shelf(tmp_path / "mine", 1_000_000, tmp_path).read("packs/0", 0, 1) == NOISE[:1]  # used now
    mine.put("packs/2", NOISE[:300_000])
    mine.sweep()
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["0", "2", "swept"]


def test_the_limit_holds_while_much_is_written(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 1_000_000)
    for number in range(100):
        shelf.put(f"packs/{number}", NOISE[number * 100 :][:50_000])
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1_200_000
    assert shelf.read("packs/99") == NOISE[9900:59_900]


def test_memory_is_bounded() -> None:
    shelf = Shelf(None, 1_000_000)
    for number in range(100):
        shelf.put(f"packs/{number}", NOISE[:50_000])
    assert len(shelf.names("packs")) == 20 and shelf.read("packs/99") is not None
    shelf.put("packs/big", NOISE)
    assert shelf.names("packs") == ["packs/big"]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    shelf = Shelf(tmp_path / "cache", GB)
    shelf.put("packs/a", NOISE)
    shelf.drop(["packs/a"])
    shelf.sweep()
    assert shelf.read("packs/a") is None and shelf.names("packs") == []


def work(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    shelf = Shelf(folder, 2_000_000)
    for _ in range(300):
        name = f"packs/{rng.randrange(12)}"
        expected = name.encode() * 20_000
        match rng.randrange(4):
            case 0:
                shelf.put(name, expected)
            case 1:
                shelf.drop([name])
            case 2:
                shelf.sweep()
            case _:
                found = Shelf(folder, 2_000_000).read(name, 100, 50_000)
                assert found is None or found == expected[100:50_100]
    os._exit(0)


def test_processes_that_share_it_never_see_half_a_copy(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(tmp_path, seed)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
