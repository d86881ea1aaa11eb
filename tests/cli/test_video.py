"""Videos on the command line: what is not known of them without PyAV, and how it is gained."""

import json
import sys

HELP = "for width, length and frame rate: pip install 'dsvc[video]', and add them again"
NOTE = f"2 videos have type and size only; {HELP}"


def test_facts_come_with_pyav(dsvc, project, video, monkeypatch) -> None:
    (project / "clips").mkdir()
    for name, frames in (("a.mp4", 10), ("b.mp4", 5)):
        (project / "clips" / name).write_bytes(video(frames=frames))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        first = dsvc("add", "clips")
        assert first.out.startswith("2 inputs added\n") and first.err == ""
        assert first.out.splitlines().count(f"note: {NOTE}") == 1
        assert json.loads(dsvc("add", "clips", "--json").out)["notes"] == [NOTE]
    again = dsvc("add", "clips")
    assert again.out.startswith("2 changed\n") and "note: " not in again.out
    shown = json.loads(dsvc("show", "clips/b.mp4", "--json").out)["input"]["media"]
    assert (shown["width"], shown["height"], shown["duration"], shown["fps"]) == (64, 48, 0.5, 10)
    assert dsvc("add", "clips").out.startswith("2 unchanged\n")
