"""A remote made to do harm, and the command: nothing is written elsewhere, nothing acts on the terminal."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pictures import picture
from studied import evaluation_record, run_record

from dsvc.cli.main import run
from dsvc.core.ledger import auto_name, set_auto_version, set_entry, stage_file, store_entry
from dsvc.core.repository import Repository
from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.records import Annotation, Concept, annotation_key, encode_annotation, encode_concept
from dsvc.model.snapshot import Roots, store_roots
from dsvc.model.tree import build_tree
from dsvc.model.view import BRANCH, DATASET, EVALUATION, RUN, TRAINING, VERSION, BranchRef, DatasetRef, VersionRef
from dsvc.store import codec
from dsvc.store.ids import Kind
from dsvc.store.local import LocalBackend

ESCAPE = "\x1b[2J\x9b31m\u202eevil\x07\r\n"
Run = Callable[..., str]


def hostile(folder: Path, keys: list[str], text: str = "text") -> Path:
    """A remote whose dataset has inputs of some keys, all of which hold a picture, and a text wherever one may be."""
    repository = Repository.create_in(LocalBackend(folder), None, Author(text, text))
    with repository.transaction(text) as transaction:
        store = transaction.writer
        data = picture(color=1)
        media = {"blob": store.put(Kind.BLOB, data), "size": len(data), "type": "image/png", "width": 4, "height": 4}
        fields = {"media": media, "metadata": {text: text}, "split": text, "license": text}
        concept = Concept(id=text, name=text, supercategory=text)
        marks = [Annotation(key=key, id=text, concept=text, text=text, author=text, status=text) for key in keys]
        marked = sorted((annotation_key(one.key, one.id), encode_annotation(one)) for one in marks)
        roots = Roots(
            concepts=build_tree(store, [(text.encode(), encode_concept(concept))]),
            inputs=build_tree(store, [(key.encode(), codec.encode(fields)) for key in sorted(keys)]),
            annotations=build_tree(store, marked),
        )
        who, when, snapshot = Author(text, text), Moment(0), store_roots(store, roots)
        made = Commit(snapshot=snapshot, author=who, time=when, message=text, notes={text: text})
        id = store_commit(store, made)

        def change(refs: object) -> None:
            refs.set((DATASET, "pets"), DatasetRef(text))  # type: ignore[attr-defined]
            refs.set((BRANCH, "pets", "main"), BranchRef(id))  # type: ignore[attr-defined]
            refs.set((VERSION, "pets", "v1"), VersionRef(id, text, who, when))  # type: ignore[attr-defined]

        transaction.run(change)
    return folder


def studied(folder: Path, text: str) -> None:
    """Enter a run and an evaluation at such a remote, of which all texts are that one."""
    repository = Repository(LocalBackend(folder))
    pets, who, when = repository.dataset("pets"), Author(text, text), Moment(0)
    head = pets.head
    assert head is not None
    with repository.transaction(text) as transaction:
        writer = transaction.writer
        more = {"message": text, "notes": [text], "environment": {text: text}, "folder": text}
        said = dict.fromkeys(("trainer", "where", "signal", "format", "began", "reproduces", "dataset"), text)
        run = run_record("aaaa1111", "pets", text, head) | said | more
        run |= {"command": [text], "metrics": {text: 0.5}, "git": {"commit": text, "dirty": True}}
        files = {name: stage_file(writer, text.encode()) for name in ("log.txt", f"model/{text}", "metrics.json")}
        guess = {"revision": text, "run": text, "file": text}
        evaluation = evaluation_record("eeee3333", text, (text, head), (text, head)) | {"message": text, "where": text}
        evaluation["truth"] |= {"revision": text}
        evaluation["predictions"] |= guess
        evaluation |= {"figures": {"AP": 0.5, text: 0.5}, "concepts": {text: {"AP": 0.5, text: 0.5}}}
        made = auto_name("aaaa1111", when)

        def change(refs: object) -> None:
            set_auto_version(refs, "pets", made, VersionRef(head, text, who, when, TRAINING))  # type: ignore[arg-type]
            set_entry(refs, RUN, "pets", "aaaa1111", store_entry(writer, RUN, run, files, [head], who, when))  # type: ignore[arg-type]
            kept = store_entry(writer, EVALUATION, evaluation, {}, [head, head], who, when)
            set_entry(refs, EVALUATION, "pets", "eeee3333", kept)  # type: ignore[arg-type]

        transaction.run(change)


@pytest.fixture
def dsvc(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line, and give all that it printed."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> str:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err and code != 70, printed.err
        return printed.out + printed.err

    return call


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


def test_nothing_acts_on_the_terminal(dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = hostile(tmp_path / "store", ["a.png", f"b{ESCAPE}.png"], ESCAPE)
    studied(store, ESCAPE)
    printed = [dsvc("clone", store, "clone")]
    monkeypatch.chdir(tmp_path / "clone")
    commands = """list|show|show pets@v1|log|log --graph|op log|branch|version list|version show v1|status|concept list|
    diff pets@v1 pets|blame a.png|show a.png|conflicts|check|remote list|fetch|query select * from inputs|
    query select * from annotations|annotate a.png --concept cat|diff|diff --stat|status|commit -m more|log|
    rm a.png|diff|undo|redo|export pets -o out|export pets -o out.zip --format clarifai-json|materialize|
    version list --auto|version show auto-generated-19700101T000000Z-aaaa1111|runs list|runs show last|
    runs show last --log|runs compare last last|runs extract last -o files|evaluate list|evaluate show last|
    evaluate compare last last|evaluate pets --run last|runs reproduce last|plot pets -o a.png|
    plot --evaluation last -o b.png|metrics|metrics pets --by concept|checkout pets data|push|op log|
    runs delete last|evaluate delete last|undo|split --by key --ratio 80/20 --seed 1 --dry-run|gc --dry-run|
    restore pets@v1|lock"""
    for line in commands.replace("\n", "").split("|"):
        name, *rest = line.split(None, 1)
        arguments = [rest[0]] if name == "query" else rest[0].split() if rest else []
        printed.append(dsvc(name, *arguments))
    assert all(any(text.startswith(id) for text in printed) for id in ("aaaa1111", "eeee3333")), "they came"
    for text in printed:
        for char in "\x1b\x9b\x07\r\u202e":
            assert char not in text, repr(text)


OUTSIDE = ["../a.png", "/tmp/a.png", "a/../../b.png", "C:/a.png", "\\\\host\\share\\a.png", "..\\a.png", "a//b.png"]


@pytest.mark.parametrize("key", OUTSIDE)
def test_keys_that_lead_out_are_refused(key: str, dsvc: Run, tmp_path: Path) -> None:
    store = hostile(tmp_path / "store", [key])
    before = files(tmp_path)
    assert "error: remote origin: the input key" in dsvc("clone", store, "clone")
    assert files(tmp_path) == before and not (tmp_path / "clone").exists()


INSIDE = [
    ".git/hooks/post-checkout",
    ".GIT/config",
    ".dsvc/head",
    ".dsvc/workspace.toml",
    "a/.git/config",
    "git~1/config",
]


def test_keys_that_belong_to_others_are_left_out(dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = hostile(tmp_path / "store", [*INSIDE, "fine.png"])
    dsvc("clone", store, "clone")
    monkeypatch.chdir(tmp_path / "clone")
    (tmp_path / "clone" / ".git").mkdir()
    before = files(tmp_path)
    printed = dsvc("checkout", "pets", "data")
    assert "would belong to Git itself" in printed
    new = {name for name in files(tmp_path) - before if not name.startswith("clone/.dsvc/")}
    assert {name for name in new if name.endswith(".png")} == {"clone/data/images/fine.png"}
    assert [name for name in new if any(part in name.lower() for part in (".git/", ".dsvc/", "git~1"))] == []
    for target in ("out", "out.zip"):
        dsvc("export", "pets", "-o", target, "--media")
    assert not any((tmp_path / "clone" / ".git").iterdir())


def test_links_in_the_way_are_not_followed(dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = hostile(tmp_path / "store", ["a.png", "sub/b.png"])
    dsvc("clone", store, "clone")
    monkeypatch.chdir(tmp_path / "clone")
    dsvc("checkout", "pets", "data")
    outside = tmp_path / "outside"
    outside.mkdir()
    for path in (tmp_path / "clone" / "data" / "images" / "sub").iterdir():
        path.unlink()
    (tmp_path / "clone" / "data" / "images" / "sub").rmdir()
    (tmp_path / "clone" / "data" / "images" / "sub").symlink_to(outside)
    dsvc("checkout", "pets", "data", "--force")
    dsvc("export", "pets", "-o", "data", "--media")
    assert not any(outside.iterdir())


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(dsvc: Run, tmp_path: Path) -> None:
    store = hostile(tmp_path / "store", ["a.png"])
    for path in [*(store / "packs").iterdir(), *(store / "index").iterdir()]:
        path.unlink()
        os.mkfifo(path)
    assert "error: remote origin: " in dsvc("clone", store, "clone")


def test_names_that_differ_in_case_alone_are_told(dsvc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = hostile(tmp_path / "store", ["a.png", "A.PNG", "con.png", "nul", "x/aux.txt"])
    dsvc("clone", store, "clone")
    monkeypatch.chdir(tmp_path / "clone")
    printed = dsvc("check")
    assert "A.PNG" in printed and "con.png" in printed and "x/aux.txt" in printed
