"""localize.py from the command line, with an untrained run."""

from __future__ import annotations

import base64
import csv
import dataclasses
import json
import os
import re
import shutil
import tracemalloc

import av
import cv2
import keras
import numpy as np
import pytest

import avmil
from avmil.clips import media_audio
from avmil.clips.media_writer import write_video
from avmil.common.errors import ClipError, ConfigError
from avmil.features import recipe as recipes
from avmil.localization import batch
from avmil.localization.batch import localize_videos
from avmil.runs.checkpoints import TrainState
from avmil.runs.run import Run, TrainedOn
from flags import LocalizeConfig, RecipeConfig, TrainConfig
from model import systems
from tests.command_line import ROOT, flag_list, run
from tests.feature_files import write_features
from tests.media_files import noise, write_clip

pytestmark = pytest.mark.slow

CLASS_NAMES = ("bus", "siren, loud", "$train_1")
THRESHOLDS = {"bus": -100.0, "siren, loud": 100.0, "$train_1": -100.0}
UNTRAINED = {
    "edges": "gradient",
    "region_weights": "random",
    "audio_network": "yamnet",  # Built in a fifth of the time of VGGish.
    "audio_weights": "random",
    "short_side_px": 96,
    "max_boxes": 3,
}


def make_run(directory, system="av_two_stream", **recipe):
    """A run that never trained, with thresholds."""
    config = systems.SystemConfig(
        fc_units=8, audio_units=4, seed=3, segment_size=1024
    )
    built = systems.build(system, len(CLASS_NAMES), config)
    built.compile(keras.optimizers.Adam(), systems.losses(system))
    trained_on = TrainedOn(
        recipe=recipes.of_flags(RecipeConfig(**{**UNTRAINED, **recipe})),
        class_names=list(CLASS_NAMES),
    )
    config = TrainConfig(system=system, run_dir=str(directory))
    saved = Run.start(config, trained_on).checkpoints
    saved.save("last", built, TrainState(step=1))
    (directory / "thresholds.json").write_text(json.dumps(THRESHOLDS))
    within = {"weights": {"checkpoint": "last", "step": 1}, "from": "labels"}
    within |= dict.fromkeys(("thresholds", "box_thresholds"), THRESHOLDS)
    within |= {"num_segments": 4, "num_regions": 6}
    path = directory / "event_thresholds.json"
    path.write_text(json.dumps(within))
    return directory


def drawn_frames(count, height=96, width=128):
    """Boxes of random places and colors on gray: EdgeBoxes finds them."""
    generator = np.random.default_rng(0)
    image = np.full((height, width, 3), 90, np.uint8)
    for _ in range(4):
        y, x = generator.integers(5, 50), generator.integers(5, 70)
        image[y : y + 35, x : x + 45] = generator.integers(0, 255, 3)
    return [image] * count


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    (folder / "again").mkdir()
    good = write_clip(folder / "good one.mp4", drawn_frames(20), noise(2.0))
    (folder / "again" / "good one.mp4").write_bytes(good.read_bytes())
    (folder / "broken.mp4").write_bytes(b"not a video")
    write_clip(folder / "silent.mp4", drawn_frames(20))
    write_clip(folder / "dark.mp4", (), noise(2.0))
    return folder


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "a")


@pytest.fixture(scope="module")
def localized(videos, run_dir, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("found")
    output = run(
        "localize.py",
        str(videos),
        str(videos / "again" / "good one.mp4"),
        str(videos / "missing.mp4"),
        *flag_list(run_dir=run_dir, output_dir=output_dir),
        status=1,
    )
    return output_dir, output


def localize(run_dir, tmp_path, /, *paths, **changes):
    """Localizes with the command's function; gives status and folder."""
    found = tmp_path / "found"
    config = LocalizeConfig(run_dir=str(run_dir), output_dir=str(found))
    config = dataclasses.replace(config, **changes)
    return localize_videos(config, [str(path) for path in paths]), found


def test_memory_does_not_grow_with_the_frames(run_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(media_audio, "_BLOCK_S", 5)
    localizing = avmil.load_run(run_dir)
    boxes = np.full((50, 4), [0, 0, 99, 99], np.float32), np.ones(50, "f4")
    localizing.extractor._find_boxes = lambda *_: boxes
    # Kept, 16 frames would be 44 MB, and their 800 regions 15 MB.
    frame_bytes, peaks = 720 * 1280 * 3, []
    for seconds in (4, 8, 24):
        path = tmp_path / f"{seconds}.mp4"
        frames_rgb = drawn_frames(seconds, 720, 1280)
        write_video(path, frames_rgb, 1, noise(seconds, 48_000)[0], 48_000)
        tracemalloc.start()
        result = localizing.localize(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(result.frames_rgb) == seconds
        assert result.frames_rgb[seconds - 1].shape == (360, 640, 3)
    # The first one also loads the networks.
    assert peaks[2] - peaks[1] < 4 * frame_bytes


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_bad_videos_are_listed_with_stage_and_reason(localized, videos):
    output_dir, output = localized
    rows = rows_of(output_dir / "failed.csv")
    assert [(r["clip_id"], r["stage"], r["reason"]) for r in rows] == [
        (
            "broken",
            "decode",
            "cannot be opened: Invalid data found when processing input",
        ),
        ("missing", "decode", "missing file"),
    ]
    assert rows[1]["path"] == str(videos / "missing.mp4")
    assert "missing.mp4: decode: missing file" in output
    assert "Finished: 5 of 7 videos localized" in output
    content = json.loads((output_dir / "results.json").read_text())
    assert content["class_names"] == list(CLASS_NAMES)
    statuses = {v["clip_id"]: v["status"] for v in content["videos"]}
    assert len(statuses) == 7
    assert statuses["broken"] == statuses["missing"] == "failed"
    listed = {
        row["clip_id"]: row for row in rows_of(output_dir / "results.csv")
    }
    assert set(listed) == set(statuses)
    assert listed["good_one"]["label"] in THRESHOLDS
    assert listed["missing"]["label"] == ""


def test_what_a_video_lacks_is_noted_and_the_rest_scored(localized):
    output_dir, output = localized
    notes = {
        "silent": "no sound track: scored by its pictures alone",
        "dark": "no video track: scored by its sound alone",
    }
    found = {
        name: json.loads((output_dir / name / "localization.json").read_text())
        for name in ("good_one", "silent", "dark")
    }
    for name, note in notes.items():
        assert f"note: {note}" in output
        assert note in (output_dir / "index.html").read_text()
        assert found[name]["predicted"]
    assert found["silent"]["segments"]["scores"] == []
    assert found["dark"]["regions"]["scores"] == []
    # A modality is scored as beside the other one, and counts twice.
    np.testing.assert_allclose(
        np.add(found["silent"]["scores"], found["dark"]["scores"]) / 2,
        found["good_one"]["scores"],
        atol=0.1,  # Videos and sounds are compressed for each file.
    )


def test_videos_of_the_same_name_have_folders_of_their_own(localized):
    output_dir, output = localized
    names = sorted(p.name for p in output_dir.iterdir() if p.is_dir())
    assert names == [
        *("again_good_one", "dark", "good_one", "good_one-2", "silent")
    ]
    index = (output_dir / "index.html").read_text()
    for name in names:
        assert f"{name}/page.html" in index or name == "dark"
    lines = [x for x in output.splitlines() if x.startswith("  * bus")]
    assert lines
    assert all("threshold -100.000" in line for line in lines)
    assert any(x.startswith("    siren, loud") for x in output.splitlines())


def test_files_of_a_video(localized):
    output_dir, _ = localized
    folder = output_dir / "good_one"
    stems = [f"{f}-{c}" for f in ("fig3", "fig4") for c in ("_train_1", "bus")]
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [f"{s}.{x}" for s in stems for x in ("png", "svg")]
        + ["annotated.mp4", "coco.json", "events.TextGrid", "events.srt"]
        + ["events.vtt", "labels.txt", "localization.json"]
        + ["page.html", "result.json", "segments.csv"]
    )
    content = json.loads((folder / "localization.json").read_text())
    assert content["clip_id"] == "good_one"
    assert content["video"] == "good one.mp4"
    assert content["duration_s"] == pytest.approx(2.0, abs=0.01)
    assert (content["width_px"], content["height_px"]) == (128, 96)
    assert content["thresholds"] == THRESHOLDS
    assert content["event_thresholds"] == THRESHOLDS
    assert set(content["predicted"]) == {"bus", "$train_1"}
    assert content["frame_times_s"] == [0.5, 1.5]
    assert len(content["regions"]["scores"]) == len(
        content["regions"]["boxes_px"]
    )
    events = rows_of(folder / "segments.csv")
    assert {row["class"] for row in events} == {"bus", "$train_1"}
    assert all(0 <= float(row["onset_s"]) < 2.01 for row in events)


def test_run_localizes_from_python_as_from_the_command_line(
    localized, videos, run_dir, tmp_path
):
    run = avmil.load_run(run_dir)
    assert run.system == "av_two_stream"
    assert run.class_names == CLASS_NAMES
    assert run.thresholds == THRESHOLDS
    assert run.recipe["max_boxes"] == 3
    result = run.localize(videos / "good one.mp4")
    assert set(result.predicted) == {"bus", "$train_1"}
    assert list(result.events) == list(result.boxes) == list(CLASS_NAMES)
    assert result.events["siren, loud"] == result.boxes["siren, loud"] == []
    event, box = result.events["bus"][0], result.boxes["bus"][0]
    assert 0 <= event.onset_s < event.offset_s <= 2.01
    assert 0 <= box.x1_px < box.x2_px < 128
    assert max(box.score for box in result.boxes["bus"]) == 1
    as_in_paper = run.localize(videos / "good one.mp4", heat_scale="paper")
    assert as_in_paper.clip.heat_scale == "paper"
    assert result.figure("bus").axes
    assert result.figure("bus", 4).axes
    assert result.save(tmp_path / "found") == "page.html"
    expected = localized[0] / "good_one"
    for path in (tmp_path / "found").iterdir():
        content = (expected / path.name).read_bytes()
        assert path.read_bytes() == content, path.name
    names = {path.name for path in (tmp_path / "found").iterdir()}
    assert {p.name for p in expected.iterdir()} == names | {"result.json"}


def test_the_example_of_the_readme(videos, run_dir, tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (example,) = [block for block in blocks if "load_run" in block]
    write_features(str(tmp_path / "features"), {"test": 1})
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").symlink_to(run_dir)
    (tmp_path / "video.mp4").symlink_to(videos / "good one.mp4")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert {"page.html", "annotated.mp4", "localization.json"} <= {
        path.name for path in (tmp_path / "found").iterdir()
    }
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_sections_and_bad_videos_from_python(videos, run_dir):
    run = avmil.load_run(run_dir)
    result = run.localize(str(videos / "good one.mp4"), start_s=0.5, end_s=1.5)
    assert result.clip.duration_s == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="end_s after start_s=1"):
        run.localize(videos / "good one.mp4", 1.0, 1.0)
    with pytest.raises(ClipError, match="decode: missing file"):
        run.localize(videos / "missing.mp4")


def test_annotated_video_has_every_frame_and_the_sound(localized):
    output_dir, _ = localized
    path = output_dir / "good_one" / "annotated.mp4"
    with av.open(str(path)) as container:
        video, audio = container.streams
        assert video.frames == 20
        assert float(video.duration * video.time_base) == pytest.approx(2.0)
        assert float(audio.duration * audio.time_base) == pytest.approx(
            2.0, abs=0.03
        )
        assert video.width == 480
        assert video.height > 360


def test_asked_classes_section_and_missing_thresholds(videos, tmp_path, capfd):
    run_dir = make_run(tmp_path / "run")
    (run_dir / "thresholds.json").unlink()
    status, found = localize(
        run_dir,
        tmp_path,
        videos / "good one.mp4",
        classes_shown="siren, loud",
        start_s=0.5,
        end_s=1.5,
    )
    assert status == 0
    output, errors = capfd.readouterr()
    assert "run evaluate.py first" in errors
    assert "threshold " not in output
    folder = found / "good_one"
    assert (folder / "fig4-siren_loud.png").exists()
    assert not (folder / "fig4-bus.png").exists()
    content = json.loads((folder / "localization.json").read_text())
    assert content["start_s"] == 0.5
    assert content["duration_s"] == pytest.approx(1.0)
    assert content["thresholds"] is None
    assert content["predicted"] == []


def test_thresholds_within_videos_are_of_these_weights(tmp_path, capfd, videos):
    run_dir = make_run(tmp_path / "run")
    path = run_dir / "event_thresholds.json"
    content = json.loads(path.read_text())

    def load(**changes):
        path.write_text(json.dumps(content | changes))
        return avmil.load_run(run_dir)

    assert load().box_thresholds == THRESHOLDS
    assert load(thresholds=None).event_thresholds is None
    for changes in (
        {"box_thresholds": {"bus": 1.0}},
        {"thresholds": 3},
        {"num_regions": "many"},
    ):
        with pytest.raises(ConfigError, match=r"event_thresholds\.json.*evalu"):
            load(**changes)
    other = {"checkpoint": "last", "step": 2}
    assert load(weights=other).box_thresholds is None
    # An older version's, tuned on a truth alone.
    older = {name: content[name] for name in ("weights", "thresholds")}
    path.write_text(json.dumps(older))
    assert avmil.load_run(run_dir).event_thresholds is None
    status, found = localize(run_dir, tmp_path, videos / "good one.mp4")
    assert status == 0
    assert "event_thresholds.json of these weights" in capfd.readouterr().err
    content = json.loads((found / "good_one" / "localization.json").read_text())
    assert content["predicted"]
    assert content["events"] == []


@pytest.mark.parametrize(
    ("system", "modalities", "name"),
    [
        ("audio_two_stream", "audio", "good one.mp4"),
        ("visual_wsddn", "visual", "good one.mp4"),
        # What the features had beside is not asked for.
        ("audio_two_stream", "audio_visual", "dark.mp4"),
        ("visual_wsddn", "audio_visual", "silent.mp4"),
    ],
)
def test_systems_of_one_modality(videos, tmp_path, system, modalities, name):
    run_dir = make_run(tmp_path / "run", system, modalities=modalities)
    folder = tmp_path / "found"
    avmil.load_run(run_dir).localize(videos / name).save(folder)
    assert (folder / "fig3-bus.png").exists()
    has_picture = name != "dark.mp4"
    assert (folder / "annotated.mp4").exists() == has_picture
    if has_picture:
        with av.open(str(folder / "annotated.mp4")) as container:
            assert len(container.streams.audio) == (name == "good one.mp4")


def test_narrow_videos_are_drawn(run_dir, tmp_path):
    narrow = tmp_path / "narrow.mp4"
    write_clip(narrow, drawn_frames(3, 1600, 64), noise(0.3))
    status, found = localize(run_dir, tmp_path, narrow, narrow)
    assert status == 0
    with av.open(str(found / "narrow" / "annotated.mp4")) as container:
        video = container.streams.video[0]
        assert video.width == 480
        assert video.height > 1920
    index = (found / "index.html").read_text()
    assert json.loads((found / "results.json").read_text())["videos"][1]
    encoded = re.search(r"image/jpeg;base64,([\w+/=]+)", index).group(1)
    picture = np.frombuffer(base64.b64decode(encoded), np.uint8)
    assert cv2.imdecode(picture, cv2.IMREAD_COLOR).shape == (320, 13, 3)


def test_what_cannot_be_drawn_ends_no_batch(
    videos, run_dir, tmp_path, monkeypatch
):
    def save(result, directory, class_names, outputs, formats):
        if directory.endswith("-2"):
            return "page.html"
        raise IndexError("index 3 is out of bounds")

    monkeypatch.setattr(avmil.VideoLocalization, "save", save)
    good = videos / "good one.mp4"
    status, found = localize(run_dir, tmp_path, good, good)
    assert status == 1
    (row,) = rows_of(found / "failed.csv")
    assert (row["stage"], row["reason"]) == ("draw", "index 3 is out of bounds")
    assert "good_one-2/page.html" in (found / "index.html").read_text()


def test_sound_that_is_not_scored_is_noted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(avmil.VideoLocalization, "save", lambda *_: "page.html")
    paths = [
        write_clip(
            tmp_path / f"{duration_s}.mp4",
            drawn_frames(round(10 * duration_s)),
            noise(duration_s),
        )
        for duration_s in (12.0, 10.5)
    ]
    run_dir = make_run(tmp_path / "run", "cvssp_gated_crnn")
    assert localize(run_dir, tmp_path, *paths)[0] == 0
    long, short = capsys.readouterr().out.split("10.5.mp4")
    assert "note: only the first 10.0 s of the sound are scored" in long
    assert "note:" not in short


def test_a_batch_goes_on_with_what_is_not_done(
    videos, run_dir, tmp_path, monkeypatch, capsys
):
    copy = tmp_path / "run"
    shutil.copytree(run_dir, copy)
    paths = [videos / "good one.mp4", videos / "silent.mp4"]
    done = []
    localize_one = avmil.TrainedRun.localize

    def count(run, video, **changes):
        done.append(video.clip_id)
        if video.clip_id == "silent" and len(done) == 2:
            raise KeyboardInterrupt
        return localize_one(run, video, **changes)

    monkeypatch.setattr(avmil.TrainedRun, "localize", count)
    labels = {"outputs": "labels,page"}
    with pytest.raises(KeyboardInterrupt):
        localize(copy, tmp_path, *paths, **labels)
    status, found = localize(copy, tmp_path, *paths, **labels)
    assert (status, done[2:]) == (0, ["silent"])
    assert (
        "2 of 2 videos localized, 1 of them before" in capsys.readouterr().out
    )
    assert len({row["video"] for row in rows_of(found / "results.csv")}) == 2
    before = (found / "results.json").read_bytes()
    for same in (labels, {"outputs": "labels"}):  # All of it is there.
        localize(copy, tmp_path, *paths, **same)
    assert len(done) == 3
    assert (found / "results.json").read_bytes() == before
    localize(copy, tmp_path, paths[0], start_s=0.5, **labels)
    localize(copy, tmp_path, paths[0], **labels)
    (copy / "thresholds.json").write_text(
        json.dumps({**THRESHOLDS, "bus": 9.0})
    )
    localize(copy, tmp_path, paths[0], **labels)
    assert done[3:] == ["good_one"] * 3


class DyingLocalizer(batch._Localizer):
    """Ends its process at one of the videos."""

    def __call__(self, entry):
        if entry.clip_id == "dark":
            os._exit(9)
        return super().__call__(entry)


def test_a_video_that_ends_its_process_does_not_end_the_batch(
    videos, tmp_path, monkeypatch
):
    run_dir = make_run(tmp_path / "run", "visual_wsddn", modalities="visual")
    monkeypatch.setattr(batch, "_Localizer", DyingLocalizer)
    paths = [videos / f"{name}.mp4" for name in ("dark", "silent", "broken")]
    status, found = localize(
        run_dir, tmp_path, *paths, workers=2, outputs="labels"
    )
    assert status == 1
    assert [
        (r["clip_id"], r["stage"]) for r in rows_of(found / "failed.csv")
    ] == [
        ("dark", "process"),
        ("broken", "decode"),
    ]
    assert (found / "silent" / "localization.json").exists()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"outputs": "labels,pages"}, "--outputs: .* received pages"),
        ({"formats": "csv,xls"}, "--formats: .* received xls"),
        ({"classes_shown": "bus;tram"}, "received tram"),
        ({"start_s": 2.0, "end_s": 1.0}, "end_s after start_s=2"),
        ({"run_dir": "no/such/run"}, "without config.json"),
    ],
)
def test_mistakes_are_config_errors(
    videos, run_dir, tmp_path, changes, expected
):
    with pytest.raises(ConfigError, match=expected):
        localize(run_dir, tmp_path, videos / "good one.mp4", **changes)
    assert not (tmp_path / "found").exists()


def test_weights_of_another_run_are_refused(videos, tmp_path):
    forest = tmp_path / "forest.yml.gz"
    forest.write_bytes(b"the run's")
    run_dir = make_run(
        tmp_path / "run", edges="structured_forest", edge_forest=str(forest)
    )
    forest.write_bytes(b"another one")
    loaded = avmil.load_run(run_dir)  # Needs no weights.
    good = videos / "good one.mp4"
    with pytest.raises(ConfigError, match=r"--edge_forest \(sha256:"):
        loaded.localize(good)
    with pytest.raises(ConfigError, match="the run was trained with") as caught:
        localize(run_dir, tmp_path, good, edge_forest=str(forest))
    assert str(forest) in str(caught.value)
