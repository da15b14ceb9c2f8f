"""Published lists: DCASE 2017 Task 4 and AudioSet."""

from __future__ import annotations

import collections
import functools

import pytest

from avmil.clips import manifest, published_lists
from avmil.clips.manifest import ManifestEntry
from avmil.clips.published_lists import read_audioset, read_dcase2017
from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.common.errors import ConfigError, ManifestError
from flags import ManifestConfig

TRAIN = "groundtruth_weak_label_training_set.csv"
VAL = "groundtruth_weak_label_testing_set.csv"
TEST = "groundtruth_release/groundtruth_weak_label_evaluation_set.csv"


def write_dcase(folder, train="", val="", test=""):
    (folder / "groundtruth_release").mkdir()
    for name, text in ((TRAIN, train), (VAL, val), (TEST, test)):
        content = text if isinstance(text, bytes) else text.encode()
        (folder / name).write_bytes(content)
    return str(folder)


def dcase_line(video_id, label, start="30.000", end="40.000"):
    return f"{video_id}_{start}_{end}.wav\t{start}\t{end}\t{label}\n"


def assert_problems(read, *expected):
    """Compares where each problem is, and a part of what it says."""
    with pytest.raises(ManifestError) as caught:
        read()
    found = caught.value.problems
    assert len(found) == len(expected)
    for problem, (place, part) in zip(found, expected, strict=True):
        assert problem.startswith(f"{place}: ")
        assert part in problem


@pytest.fixture(scope="module")
def official(shared_data):
    return read_dcase2017(str(shared_data / "dcase2017"))


def test_official_lists_hold_the_published_counts(official):
    class_names, rows = official
    assert class_names == CLASS_NAMES
    clips = collections.Counter(row.split for row in rows)
    assert clips == {"train": 51_172, "val": 488, "test": 1_103}
    per_class = collections.defaultdict(collections.Counter)
    for row in rows:
        per_class[row.split].update(row.labels)
    labels = {split: counts.total() for split, counts in per_class.items()}
    assert labels == {"train": 56_131, "val": 606, "test": 1_350}
    assert [per_class["train"][name] for name in class_names] == [
        *(1897, 3617, 25077, 3598, 3162, 1516, 2075, 6885),
        *(313, 524, 180, 1409, 2288, 2364, 245, 636, 345),
    ]
    assert [per_class["test"][name] for name in class_names] == [
        *(59, 58, 265, 60, 60, 59, 154, 100),
        *(58, 60, 59, 59, 59, 62, 59, 59, 60),
    ]
    assert len({row.clip_id for row in rows}) == len(rows)


def test_official_lists_agree_with_their_other_form(official, shared_data):
    """training_set.csv and testing_set.csv name classes by AudioSet's ids."""
    folder = shared_data / "dcase2017"
    name_of_id = {}
    for line in (folder / "sound_event_list_17_classes.txt").open():
        if line.startswith("/"):
            class_id, _, name = line.rstrip("\n").split("\t")
            name_of_id[class_id] = name
    _, rows = official
    for split, list_name in (("train", "training"), ("val", "testing")):
        lines = (folder / f"{list_name}_set.csv").read_text().splitlines()
        expected = []
        for line in lines:
            video_id, start, end, *names_and_ids = line.split(",")
            ids = [part.strip('"') for part in names_and_ids]
            ids = [part for part in ids if part[:3] in ("/m/", "/t/")]
            clip_id = f"{video_id}_{start}_{end}"
            expected.append((clip_id, {name_of_id[one] for one in ids}))
        own = [(r.clip_id, set(r.labels)) for r in rows if r.split == split]
        assert own == expected


def test_a_clip_gathers_its_labels_in_the_tables_order(tmp_path):
    folder = write_dcase(
        tmp_path,
        dcase_line("-5QrBL6MzLg", "Train horn")
        + dcase_line("_aaaaaaaaaa", "Air horn, truck horn", "0.000", "7.500")
        + dcase_line("-5QrBL6MzLg", "Train"),
        dcase_line("bbbbbbbbbbb", "Car"),
        dcase_line("ccccccccccc", "Bus").replace("\n", "\r\n"),
    )
    _, rows = read_dcase2017(folder)
    assert rows[0] == ManifestEntry(
        "-5QrBL6MzLg_30.000_40.000",
        "-5QrBL6MzLg.mp4",
        ("Train", "Train horn"),
        "train",
        30.0,
        40.0,
    )
    assert [(row.clip_id, row.labels, row.split) for row in rows[1:]] == [
        ("_aaaaaaaaaa_0.000_7.500", ("Air horn, truck horn",), "train"),
        ("bbbbbbbbbbb_30.000_40.000", ("Car",), "val"),
        ("ccccccccccc_30.000_40.000", ("Bus",), "test"),
    ]


def test_every_problem_of_every_list_is_reported_with_file_and_line(tmp_path):
    good = dcase_line("aaaaaaaaaaa", "Car")
    folder = write_dcase(
        tmp_path,
        good
        + good  # 2: repeated.
        + dcase_line("aaaaaaaaaaa", "Boat")  # 3
        + "aaaaaaaaaaa_30.000_40.000.wav\t30.000\t40.000\n"  # 4
        + dcase_line("../../../ab", "Car")  # 5
        + dcase_line("ddddddddddd", "Car", "40.000", "30.000")  # 6
        + dcase_line("eeeeeeeeeee", "Car").replace("\t30", "\t31"),  # 7
        # The same label and another one of a clip of another split.
        good + dcase_line("aaaaaaaaaaa", "Bus"),
        dcase_line("fffffffffff", "Bus").encode() + b"\xe9\n",
    )
    assert_problems(
        functools.partial(read_dcase2017, folder),
        (f"{TRAIN}, line 2", f"already in {TRAIN}, line 1"),
        (f"{TRAIN}, line 3", "received ['Boat']"),
        (f"{TRAIN}, line 4", "received 'aaaaaaaaaaa_30.000_40.000.wav"),
        (f"{TRAIN}, line 5", "received '../../../ab'"),
        (f"{TRAIN}, line 6", "'40.000' and '30.000'"),
        (f"{TRAIN}, line 7", "received 'eeeeeeeeeee_30.000_40.000.wav"),
        (f"{VAL}, line 1", f"already in {TRAIN}, line 1"),
        (f"{VAL}, line 2", "already a clip of 'train'"),
        (f"{TEST}, line 2", "Expected UTF-8"),
    )


def test_missing_and_empty_lists_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="weak_label_training_set"):
        read_dcase2017(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="balanced_train_segments"):
        read_audioset(str(tmp_path))
    folder = write_dcase(tmp_path)
    with pytest.raises(ManifestError, match="Expected clips, received none"):
        read_dcase2017(folder)


AUDIOSET_CLASSES = """index,mid,display_name
0,/m/09x0r,"Speech"
1,/m/05x_td,"Air horn, truck horn"
2,/m/0k4j,"Car"
3,/m/07jdr,"Train"
"""
AUDIOSET_SEGMENTS = """# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids=20371, num_segs=20371, num_unique_labels=527
# YTID, start_seconds, end_seconds, positive_labels
--4gqARaEJE, 0.000, 10.000, "/m/07jdr,/m/09x0r,/m/0k4j"
--BfvyPmVMo, 20.000, 30.000, "/m/09x0r"
-0DdlOuIFUI, 50.000, 60.000, "/m/05x_td"
"""


def write_audioset(folder, **segments):
    (folder / "class_labels_indices.csv").write_text(AUDIOSET_CLASSES)
    for name, text in segments.items():
        (folder / f"{name}_segments.csv").write_text(text)
    return str(folder)


def test_audioset_keeps_the_clips_with_wanted_classes(tmp_path):
    folder = write_audioset(
        tmp_path,
        balanced_train=AUDIOSET_SEGMENTS,
        eval='0aaaaaaaaaa, 1.500, 2.000, "/m/0k4j"\n',
    )
    wanted = ("/m/0k4j", "Air horn, truck horn", "Train")
    class_names, rows = read_audioset(folder, wanted)
    assert class_names == ("Car", "Air horn, truck horn", "Train")
    assert [(r.clip_id, r.labels, r.split) for r in rows] == [
        ("--4gqARaEJE_0.000_10.000", ("Car", "Train"), "train"),
        ("-0DdlOuIFUI_50.000_60.000", ("Air horn, truck horn",), "train"),
        ("0aaaaaaaaaa_1.500_2.000", ("Car",), "test"),
    ]
    assert rows[0].path == "--4gqARaEJE.mp4"
    assert (rows[1].start_s, rows[1].end_s) == (50.0, 60.0)
    class_names, rows = read_audioset(folder)
    assert class_names == ("Speech", "Air horn, truck horn", "Car", "Train")
    assert rows[0].labels == ("Speech", "Car", "Train")
    assert len(rows) == 4


def test_audiosets_validation_split_depends_on_the_video_alone(tmp_path):
    lines = "".join(
        f'{number:011d}, 0.000, 10.000, "/m/0k4j"\n' for number in range(1000)
    )
    folder = write_audioset(tmp_path, balanced_train=lines)
    _, rows = read_audioset(folder, ("Car",), val_percent=20)
    val = {row.path for row in rows if row.split == "val"}
    assert 150 < len(val) < 250
    _, more = read_audioset(folder, ("Car",), val_percent=30)
    assert val < {row.path for row in more if row.split == "val"}


def test_audiosets_problems_are_reported_with_file_and_line(tmp_path):
    segments = (
        AUDIOSET_SEGMENTS
        + '--4gqARaEJE, 0.000, 10.000, "/m/0k4j"\n'
        + '0aaaaaaaaaa, 0.000, 10.000, "/m/none"\n'
        + '1aaaaaaaaaa, 0.000, 10.000, "/m/0k4j\n'
        + '2aaaaaaaaa, 0.000, 10.000, "/m/0k4j"\n'
        + '3aaaaaaaaaa, nan, 10.000, "/m/0k4j"\n'
    )
    folder = write_audioset(tmp_path, eval=segments)
    name = "eval_segments.csv"
    assert_problems(
        functools.partial(read_audioset, folder),
        (f"{name}, line 7", f"'Car' already in {name}, line 4"),
        (f"{name}, line 8", "received ['/m/none']"),
        (f"{name}, line 9", "received '1aaaaaaaaaa, 0.000"),
        (f"{name}, line 10", "received '2aaaaaaaaa'"),
        (f"{name}, line 11", "'nan' and '10.000'"),
    )
    with pytest.raises(ManifestError, match=r"'Boat' is not in(.|\n)* twice"):
        read_audioset(folder, ("Boat", "Car", "/m/0k4j"))
    with open(tmp_path / "class_labels_indices.csv", "a") as file:
        file.write('4,/m/new,"Car"\n5,/m/short\n')
    assert_problems(
        functools.partial(read_audioset, folder),
        ("class_labels_indices.csv, line 6", "'Car' is listed twice"),
        ("class_labels_indices.csv, line 7", "received '5,/m/short'"),
    )


def make(folder, **changes):
    """Makes a manifest of AudioSet's lists in a folder."""
    options = {
        "dataset": "audioset",
        "lists_dir": str(folder),
        "output": str(folder / "lists/manifest.csv"),
        **changes,
    }
    published_lists.make_manifest(ManifestConfig(**options))
    return manifest.read(options["output"])


def test_a_manifest_is_made_with_its_counts_and_warnings(tmp_path, capsys):
    folder = write_audioset(tmp_path, eval=AUDIOSET_SEGMENTS)
    class_names, rows = make(tmp_path, wanted_classes="Car; /m/07jdr")
    assert class_names == ("Car", "Train")
    assert rows[0].path == f"{folder}/lists/--4gqARaEJE.mp4"
    output, warnings = capsys.readouterr()
    assert [line.split() for line in output.splitlines()[:5]] == [
        ["train", "val", "test"],
        ["Car", "0", "0", "1"],
        ["Train", "0", "0", "1"],
        ["labels", "0", "0", "2"],
        ["clips", "0", "0", "1"],
    ]
    assert "no clip is in the split 'val'. Thresholds need one" in warnings
    make(tmp_path, wanted_classes="Car", overwrite=True)
    assert "there is one class" in capsys.readouterr().err


def test_a_manifest_is_not_replaced_unasked(tmp_path):
    write_audioset(tmp_path, eval=AUDIOSET_SEGMENTS)
    before = make(tmp_path, wanted_classes="Car")
    for output, message in (
        ("lists/manifest.csv", "--overwrite"),
        ("lists/other.csv", "--overwrite"),  # classes.txt is there.
        ("lists", r"\.csv file"),
    ):
        with pytest.raises(ConfigError, match=message):
            make(tmp_path, output=str(tmp_path / output))
    assert manifest.read(str(tmp_path / "lists/manifest.csv")) == before


def test_bad_lists_leave_nothing_behind(tmp_path):
    write_dcase(tmp_path, "nothing of the kind\n")
    with pytest.raises(ManifestError, match=r"training_set\.csv, line 1"):
        make(tmp_path, dataset="dcase2017")
    with pytest.raises(ConfigError, match="audioset or vggsounder"):
        make(tmp_path, dataset="dcase2017", wanted_classes="Car")
    assert not (tmp_path / "lists").exists()
