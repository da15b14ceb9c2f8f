"""What was found in many videos, as a table."""

from __future__ import annotations

from avmil.report.video_results import FoundClass, VideoResult, to_table

DOG = FoundClass(
    label="dog, small",
    score=0.5,
    threshold=-0.25,
    confidence=(9, 10),
    events=((0.0, 1.5, 0.25), (6.58, 7.867, 0.5)),
    boxes=(
        (0.5, 4.0, 5.0, 6.0, 7.5, 1.0),
        (0.5, 0.0, 1.0, 20.0, 30.0, 0.5),
        (1.5, 0.0, 0.0, 9.0, 9.0, 0.25),
    ),
)
BUS = FoundClass("bus", 1.0, 0.0, None, (), ())
RESULTS = [
    VideoResult("a", "v/a.mp4", "found", 10.0, "page.html", (BUS, DOG)),
    VideoResult("b", "v/b.mp4", "foreign", 3.0, note="no sound track"),
    VideoResult("c", "c.mp4", "failed", stage="decode", reason="half"),
]


def test_each_video_and_class_has_a_row():
    header, *rows = to_table(RESULTS)
    assert [dict(zip(header, row, strict=True)) for row in rows[1:2]] == [
        {
            "clip_id": "a",
            "video": "v/a.mp4",
            "status": "found",
            "label": "dog, small",
            "score": "0.5",
            "threshold": "-0.25",
            "confidence": "9 of 10",
            "events": "0.00-1.50;6.58-7.87",
            # The best one of each frame.
            "boxes": "0.5: 4 5 6 7.5;1.5: 0 0 9 9",
        }
    ]
    assert [row[:4] for row in rows] == [
        ("a", "v/a.mp4", "found", "bus"),
        ("a", "v/a.mp4", "found", "dog, small"),
        ("b", "v/b.mp4", "foreign", ""),
        ("c", "c.mp4", "failed", ""),
    ]
    assert {len(row) for row in rows} == {len(header)}
    assert rows[0][6:] == ("", "", "")
