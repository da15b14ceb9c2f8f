"""LLP's and AVE's lists, with their truth."""

from __future__ import annotations

import collections
import sys
import types

import h5py
import pytest

from avmil.clips import manifest, published_lists
from avmil.clips.timed_lists import read_ave, read_llp, read_vggsounder
from avmil.common.errors import ConfigError, ManifestError
from avmil.evaluation import truth
from flags import ManifestConfig

LLP_HEADER = "filename\tevent_labels\n"
LLP_TIMES = "filename\tonset\toffset\tevent_labels\n"
LLP = {
    "AVVP_train.csv": LLP_HEADER + "aaaaaaaaaaa_1.5_11.5\tDog,Speech\n",
    "AVVP_val_pd.csv": LLP_HEADER + "bbbbbbbbbbb_0_10\tCat\n",
    "AVVP_test_pd.csv": LLP_HEADER + "ccccccccccc_0_10\tCar,Dog\n",
    "AVVP_eval_audio.csv": LLP_TIMES
    + "ccccccccccc_0_10\t2\t5\tDog\n"
    + "ccccccccccc_0_10\t5\t5\tDog\n"  # No second.
    + "ddddddddddd_0_10\t0\t5\tDog\n",  # No video of these splits.
    "AVVP_eval_visual.csv": LLP_TIMES + "ccccccccccc_0_10\t0\t10\tCar\n",
}


def write(folder, lists):
    for name, text in lists.items():
        (folder / name).write_text(text, encoding="utf-8")
    return str(folder)


def write_ave(folder, lines, **orders):
    (folder / "Annotations.txt").write_text("\n".join(lines), encoding="utf-8")
    for split in ("train", "val", "test"):
        with h5py.File(folder / f"{split}_order.h5", "w") as file:
            file["order"] = orders.get(split, [])
    return str(folder)


def test_llp_tells_sight_from_sound(tmp_path, capsys):
    class_names, entries, events = read_llp(write(tmp_path, LLP))
    assert len(class_names) == 25
    assert [(e.clip_id, e.labels, e.split) for e in entries] == [
        ("aaaaaaaaaaa_1.5_11.5", ("Speech", "Dog"), "train"),
        ("bbbbbbbbbbb_0_10", ("Cat",), "val"),
        ("ccccccccccc_0_10", ("Car", "Dog"), "test"),
    ]
    assert (entries[0].path, entries[0].start_s) == ("aaaaaaaaaaa.mp4", 1.5)
    assert events == {
        "bbbbbbbbbbb_0_10": [],
        "ccccccccccc_0_10": [
            {"class": "Dog", "sound": [2.0, 5.0]},
            {"class": "Car", "sight": {"t0": 0.0, "t1": 10.0}},
        ],
    }
    assert "2 lines" in capsys.readouterr().err


def test_the_published_lists_have_the_published_sizes(shared_data):
    _, entries, events = read_llp(str(shared_data / "llp"))
    counts = collections.Counter(entry.split for entry in entries)
    assert counts == {"train": 10_000, "val": 649, "test": 1_200}
    assert len(events) == 1_849
    class_names, entries, events = read_ave(str(shared_data / "ave"))
    counts = collections.Counter(entry.split for entry in entries)
    assert counts == {"train": 3_339, "val": 402, "test": 402}
    assert (len(class_names), len(events)) == (28, 4_143)


def test_ave_follows_the_orders_line_by_line(tmp_path):
    folder = write_ave(
        tmp_path,
        [
            "Horse&aaaaaaaaaaa&good&2&7",
            "Baby cry, infant cry&bbbbbbbbbbb&good&0&0",
            "Goat&aaaaaaaaaaa&good&0&10",
        ],
        train=[2],
        val=[1],
        test=[0],
    )
    class_names, entries, events = read_ave(folder)
    assert class_names == ("Baby cry, infant cry", "Goat", "Horse")
    assert [(e.clip_id, e.path, e.labels, e.split) for e in entries] == [
        ("aaaaaaaaaaa", "aaaaaaaaaaa.mp4", ("Horse",), "test"),
        ("bbbbbbbbbbb", "bbbbbbbbbbb.mp4", ("Baby cry, infant cry",), "val"),
        ("aaaaaaaaaaa_2", "aaaaaaaaaaa.mp4", ("Goat",), "train"),
    ]
    assert events["bbbbbbbbbbb"] == []
    (event,) = events["aaaaaaaaaaa"]
    assert event["sound"] == [2, 7]
    assert event["sight"] == {"t0": 2, "t1": 7}


def test_a_manifest_with_its_truth_is_read_again(tmp_path, capsys):
    lists, output = tmp_path / "lists", tmp_path / "out" / "manifest.csv"
    lists.mkdir()
    write(lists, LLP)
    config = ManifestConfig("llp", str(lists), str(output))
    published_lists.make_manifest(config)
    class_names, entries = manifest.read(str(output))
    path = output.with_name("truth.json")
    found = truth.parse(
        path.read_bytes(), str(path), class_names, [e.clip_id for e in entries]
    )
    sound, sight = found["ccccccccccc_0_10"]
    assert sound.sound == (2, 5)
    assert sight.sight.interval == (0, 10)
    assert sight.sight.is_visible([0.5, 10.5]).tolist() == [True, False]
    with pytest.raises(ConfigError, match=r"truth\.json"):
        published_lists.make_manifest(config)


@pytest.mark.parametrize(
    ("name", "line", "part"),
    [
        ("AVVP_train.csv", "short_0_10\tDog", "line 3: Expected ID_START_END"),
        ("AVVP_train.csv", "eeeeeeeeeee_0_10\tCow", "line 3: Expected labels"),
        ("AVVP_eval_audio.csv", "ccccccccccc_0_10\t0\tx\tDog", "seconds"),
        ("AVVP_eval_visual.csv", "ccccccccccc_0_10\t0\t1\tCow", "a class"),
    ],
)
def test_bad_lines_of_llp_are_named(tmp_path, name, line, part):
    lists = LLP | {name: f"{LLP[name]}{line}\n"}
    with pytest.raises(ManifestError, match=name) as caught:
        read_llp(write(tmp_path, lists))
    assert part in str(caught.value)


def test_bad_files_of_ave_are_named(tmp_path):
    line = "Horse&aaaaaaaaaaa&good&2&7"
    folder = write_ave(tmp_path, [line, "Horse", line], train=[0])
    (tmp_path / "val_order.h5").write_text("no HDF5")
    with pytest.raises(ManifestError) as caught:
        read_ave(folder)
    first, second, third = caught.value.problems
    assert first.startswith("val_order.h5: Expected HDF5")
    assert second.startswith("Annotations.txt, line 2: Expected class&id")
    assert third.startswith("Annotations.txt, line 3: aaaaaaaaaaa is in none")
    (tmp_path / "val_order.h5").unlink()
    with pytest.raises(FileNotFoundError, match="val_order"):
        read_ave(folder)


class Labels(dict):
    """What the package vggsounder gives of two clips."""

    def __init__(self):
        clip = types.SimpleNamespace
        super().__init__(
            {
                "ccccccccccc_000030": clip(
                    labels=["dog barking", "people crowd"],
                    modalities=["A", "AV"],
                ),
                "ddddddddddd_000000": clip(
                    labels=["dog barking"], modalities=["V"]
                ),
            }
        )

    def get_all_labels(self):
        return ["people crowd", "dog barking"]


VGGSOUND = (
    "aaaaaaaaaaa,1,people crowd,train\n"
    'bbbbbbbbbbb,20,"dog barking",train\n'
    "ccccccccccc,30,dog barking,test\n"
)


@pytest.fixture
def package(monkeypatch):
    module = types.ModuleType("vggsounder")
    module.VGGSounder = Labels
    monkeypatch.setitem(sys.modules, "vggsounder", module)


def test_vggsounder_has_modalities_of_its_test_clips(tmp_path, package):
    folder = write(tmp_path, {"vggsound.csv": VGGSOUND})
    class_names, entries, events = read_vggsounder(folder)
    assert class_names == ("dog barking", "people crowd")
    assert [(e.clip_id, e.labels, e.split, e.start_s) for e in entries] == [
        ("aaaaaaaaaaa_1.000_11.000", ("people crowd",), "train", 1),
        ("bbbbbbbbbbb_20.000_30.000", ("dog barking",), "train", 20),
        ("ccccccccccc_000030", class_names, "test", 30),
        ("ddddddddddd_000000", ("dog barking",), "test", 0),
    ]
    assert events["ccccccccccc_000030"] == [
        {"class": "dog barking", "sound": True, "sight": None},
        {"class": "people crowd", "sound": True, "sight": True},
    ]
    _, entries, _ = read_vggsounder(folder, val_percent=100)
    assert [e.split for e in entries] == ["val", "val", "test", "test"]


def test_vggsounder_without_package_or_with_a_bad_list(
    tmp_path, package, monkeypatch
):
    lines = "aaaaaaaaaaa,1.5,people crowd,train\nbbbbbbbbbbb,1,Cow,train\n"
    folder = write(tmp_path, {"vggsound.csv": lines})
    with pytest.raises(ManifestError) as caught:
        read_vggsounder(folder)
    first, second = caught.value.problems
    assert first.startswith("vggsound.csv, line 1: Expected whole seconds")
    assert second.startswith("vggsound.csv, line 2: Expected labels")
    monkeypatch.setitem(sys.modules, "vggsounder", None)
    with pytest.raises(ConfigError, match="extra `benchmarks`"):
        read_vggsounder(folder)


def test_the_labels_of_vggsounder_are_read(tmp_path):
    pytest.importorskip("vggsounder")
    lines = "aaaaaaaaaaa,1,people crowd,train\n"
    class_names, entries, events = read_vggsounder(
        write(tmp_path, {"vggsound.csv": lines})
    )
    assert len(class_names) == 309
    assert len(events) == len(entries) - 1 > 12_000
