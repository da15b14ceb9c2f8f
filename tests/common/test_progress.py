"""Progress of long work."""

from __future__ import annotations

from avmil.common import progress


def test_start_up_is_no_work(capsys, monkeypatch):
    now_s = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s)
    with progress.Progress(10, "clip", initial=4) as shown:
        for now_s in (100.0, 104.0, 112.0):  # noqa: B007  # The clock's.
            shown.update()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["5/10 clips", "7/10 clips, 0.17/s, 00:18 left"]
