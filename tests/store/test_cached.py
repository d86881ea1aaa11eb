"""A distant place with a cache: what is read twice is fetched once, in big pieces, and never wrong."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dsvc.errors import NotFoundError
from dsvc.store.cached import BLOCK, SMALL, CachedBackend
from dsvc.store.manifest import write_file
from dsvc.store.shelf import Shelf

from .counting import CountingBackend

MB = 1 << 20
BIG = random.Random(1).randbytes(24 * MB + 12_345)
LITTLE = BIG[: SMALL - 1]


@pytest.fixture
def distant() -> CountingBackend:
    return CountingBackend({"packs/big": BIG, "packs/little": LITTLE, "index/i": BIG[:5000]}, b"head")


def opened(distant: CountingBackend, folder: Path | None, *, keeps_blocks: bool = True) -> CachedBackend:
    distant.requests.clear()
    return CachedBackend(distant, Shelf(folder, 1 << 30), keeps_blocks=keeps_blocks)


def test_what_is_read_whole_is_fetched_once(distant: CountingBackend, tmp_path: Path) -> None:
    backend = opened(distant, tmp_path)
    assert backend.read("index/i") == backend.read("index/i") == BIG[:5000]
    assert backend.read("index/i", 10, 20) == BIG[10:30]
    assert backend.size("index/i") == 5000 and backend.holds("index/i")
    assert distant.kinds == ["read index"]
    assert opened(distant, tmp_path).read("index/i", 4990, 100) == BIG[4990:5000]
    assert distant.requests == []


def test_a_part_alone_is_not_kept(distant: CountingBackend, tmp_path: Path) -> None:
    backend = opened(distant, tmp_path)
    assert backend.read("packs/big", 100, 200) == backend.read("packs/big", 100, 200) == BIG[100:300]
    assert [one.size for one in distant.requests] == [200, 200]
    assert not list(tmp_path.rglob("*"))


def test_a_small_file_is_fetched_whole(distant: CountingBackend, tmp_path: Path) -> None:
    backend = opened(distant, tmp_path)
    for at in (5, 500_000, 17):
        assert backend.read_near("packs/little", len(LITTLE), at, 100) == LITTLE[at : at + 100]
    assert len(distant.requests) == 1


@pytest.mark.parametrize("keeps_blocks", [True, False])
def test_sequential_reading_takes_few_big_pieces(distant: CountingBackend, tmp_path: Path, keeps_blocks: bool) -> None:
    backend = opened(distant, tmp_path, keeps_blocks=keeps_blocks)
    found = b"".join(backend.read_near("packs/big", len(BIG), at, 10_000) for at in range(0, len(BIG), 10_000))
    assert found == BIG
    assert len(distant.requests) <= 12
    assert distant.bytes <= len(BIG)  # no byte twice
    again = opened(distant, tmp_path, keeps_blocks=keeps_blocks)
    assert again.read_near("packs/big", len(BIG), 5 * MB, 10) == BIG[5 * MB : 5 * MB + 10]
    assert len(distant.requests) == (0 if keeps_blocks else 1)


def test_scattered_reading_takes_a_block_each(distant: CountingBackend, tmp_path: Path) -> None:
    backend = opened(distant, tmp_path)
    rng = random.Random(2)
    places = [rng.randrange(0, len(BIG) // BLOCK, 5) * BLOCK + 1000 for _ in range(30)]
    for at in places:
        assert backend.read_near("packs/big", len(BIG), at, 3000) == BIG[at : at + 3000]
    assert len(distant.requests) == len({at // BLOCK for at in places})
    assert all(one.size == BLOCK for one in distant.requests)


def test_a_wide_part_is_one_request(distant: CountingBackend, tmp_path: Path) -> None:
    backend = opened(distant, tmp_path)
    assert backend.read_near("packs/big", len(BIG), 100, 3 * MB) == BIG[100 : 100 + 3 * MB]
    assert len(distant.requests) == 1
    assert backend.read_near("packs/big", len(BIG), len(BIG) - 10, 100) == BIG[-10:]
    assert backend.read_near("packs/big", len(BIG), len(BIG), 100) == b""


def test_any_reading_gives_the_right_bytes(distant: CountingBackend, tmp_path: Path) -> None:
    rng = random.Random(3)
    for keeps_blocks in (True, False):
        backend = opened(distant, tmp_path / str(keeps_blocks), keeps_blocks=keeps_blocks)
        at = 0
        for _ in range(400):
            at = rng.choice([at, rng.randrange(len(BIG))])
            length = rng.choice([1, 100, 100_000, 600_000])
            assert backend.read_near("packs/big", len(BIG), at, length) == BIG[at : at + length]
            at += length


def test_a_damaged_block_is_fetched_again(distant: CountingBackend, tmp_path: Path) -> None:
    opened(distant, tmp_path).read_near("packs/big", len(BIG), 0, 10)
    (path,) = (path for path in tmp_path.rglob("*") if path.name.startswith("big."))
    path.write_bytes(b"nonsense" * 1000)
    backend = opened(distant, tmp_path)
    assert backend.read_near("packs/big", len(BIG), 5, 10) == BIG[5:15]
    assert len(distant.requests) == 1
    assert opened(distant, tmp_path).read_near("packs/big", len(BIG), 5, 10) == BIG[5:15]
    assert distant.requests == []


def test_what_was_written_is_here(distant: CountingBackend, tmp_path: Path) -> None:
    backend = opened(distant, tmp_path)
    write_file(backend, "manifests/m", b"manifest")
    write_file(backend, "packs/p", LITTLE)
    write_file(backend, "packs/huge", BIG)
    distant.requests.clear()
    assert backend.read("manifests/m") == b"manifest" and backend.read("packs/p", 3, 3) == LITTLE[3:6]
    assert distant.requests == []
    assert not backend.holds("packs/huge")
    upload = backend.create()
    upload.write(b"x")
    upload.abort()
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["m", "p", "swept"]


def test_what_is_deleted_is_gone_here_too(distant: CountingBackend, tmp_path: Path) -> None:
    backend = opened(distant, tmp_path)
    backend.read("packs/little")
    backend.read("index/i")
    distant.requests.clear()
    backend.delete_all(["packs/little", "index/i"])
    assert distant.kinds == ["delete many"]
    for name in ("packs/little", "index/i"):
        with pytest.raises(NotFoundError):
            backend.read(name)


def test_the_head_is_never_kept(distant: CountingBackend, tmp_path: Path) -> None:
    backend = opened(distant, tmp_path)
    assert backend.read_head() == b"head"
    distant.head = b"other"
    assert backend.read_head() == b"other"
    assert not backend.swap_head(b"head", b"new") and backend.swap_head(b"other", b"new")
    assert distant.head == b"new"
    assert not list(tmp_path.rglob("*"))


def test_only_what_is_listed_is_retained(distant: CountingBackend, tmp_path: Path) -> None:
    backend = opened(distant, tmp_path)
    backend.read("packs/little")
    backend.read("index/i")
    backend.read_near("packs/big", len(BIG), 0, 10)
    backend.retain(("packs", "blocks"), {"packs/big"})
    assert backend.holds("index/i") and not backend.holds("packs/little")
    distant.requests.clear()
    fresh = opened(distant, tmp_path)
    fresh.read_near("packs/big", len(BIG), 0, 10)
    assert distant.requests == []
    fresh.retain(("packs", "blocks"), set())
    opened(distant, tmp_path).read_near("packs/big", len(BIG), 0, 10)
    assert len(distant.requests) == 1
