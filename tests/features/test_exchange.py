"""Published arrays in and out, in the shapes in which they are published."""

from __future__ import annotations

import csv

import h5py
import numpy as np
import pytest

import flags
from avmil.common.errors import AvmilError
from avmil.features import exchange
from avmil.features.store import FeatureStore
from avmil.localization.recipe import WeightsFiles, with_weights
from avmil.runs import training

CLIPS = [f"{split}{n}" for split in ("test", "train", "val") for n in range(3)]


@pytest.fixture
def manifest_path(tmp_path):
    """Nine clips whose manifest is not in the order of the splits."""
    (tmp_path / "classes.txt").write_text("bus\ntrain\n")
    lines = [
        f"{name},videos/v{name}.mp4,{('bus', 'train')[i % 2]},{name[:-1]}"
        for i, name in enumerate(CLIPS)
    ]
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(["clip_id,path,labels,split", *lines, ""]))
    return path


def random_arrays(*shape, dtype=np.float32):
    generator = np.random.default_rng(len(shape))
    return generator.normal(size=(len(CLIPS), *shape)).astype(dtype)


def write_folder(folder, arrays, prefix=""):
    folder.mkdir()
    for name, array in zip(CLIPS, arrays, strict=True):
        np.save(folder / f"{prefix}{name}.npy", array)
    return str(folder)


def run_import(manifest_path, **sources):
    features_dir = str(manifest_path.parent / "features")
    config = flags.ImportConfig(
        str(manifest_path), features_dir=features_dir, shard_size=2, **sources
    )
    return features_dir, exchange.import_features(config)


def failures(features_dir):
    with open(f"{features_dir}/failed.csv", newline="") as file:
        return {row["clip_id"]: row["reason"] for row in csv.DictReader(file)}


def run_export(features_dir, output_dir, **options):
    exchange.export_features(
        flags.FeatureExportConfig(features_dir, str(output_dir), **options)
    )


@pytest.mark.slow
def test_folders_in_the_shapes_of_llp(manifest_path, tmp_path):
    audio, visual = random_arrays(10, 128), random_arrays(80, 2048)
    features_dir, status = run_import(
        manifest_path,
        audio=write_folder(tmp_path / "vggish", audio),
        visual=write_folder(tmp_path / "net", visual, prefix="v"),
    )
    assert status == 0
    store = FeatureStore(features_dir)
    assert store.info["recipe"]["imported_audio"] == "vggish"
    clip = store[store.clip_ids.index("val2")]
    assert clip.labels == ("bus",)
    assert clip.segment_times_s[[0, -1]].tolist() == [[0, 1], [9, 10]]
    np.testing.assert_allclose(clip.region_times_s[:2], [1 / 16, 3 / 16])
    np.testing.assert_array_equal(clip.boxes, [[0, 0, 223, 223]] * 80)
    training.train(
        flags.TrainConfig(
            features_dir=features_dir,
            run_dir=str(tmp_path / "run"),
            steps=2,
            batch_size=2,
            fc_units=4,
            xla=False,
        )
    )
    run_export(features_dir, tmp_path / "out")
    for name, *arrays in zip(CLIPS, audio, visual, strict=True):
        for field, array in zip(("segments", "regions"), arrays, strict=True):
            found = np.load(tmp_path / "out" / field / f"{name}.npy")
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, array)


def test_hdf5_in_the_shapes_of_ave(manifest_path, tmp_path):
    dtype = "float64"
    arrays = {
        "segments": random_arrays(10, 128, dtype=dtype),
        "regions": random_arrays(10, 7, 7, 512, dtype=dtype),
    }
    for name, array in arrays.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["avadataset"] = array
    features_dir, status = run_import(
        manifest_path,
        audio=str(tmp_path / "segments.h5"),
        visual=str(tmp_path / "regions.h5:avadataset"),
    )
    assert status == 0
    store = FeatureStore(features_dir)
    clip = store[store.clip_ids.index("train1")]
    assert clip.regions.shape == (490, 512)
    # Second 3, row 2, column 5.
    region = 3 * 49 + 2 * 7 + 5
    number = CLIPS.index("train1")
    np.testing.assert_array_equal(
        clip.regions[region], arrays["regions"][number, 3, 2, 5]
    )
    assert clip.region_times_s[region] == 3.5
    assert clip.boxes[region].tolist() == [160, 64, 191, 95]
    out = tmp_path / "out"
    run_export(features_dir, out, format="h5", manifest=str(manifest_path))
    for name, array in arrays.items():
        with h5py.File(out / f"{name}.h5") as file:
            assert file["clip_ids"].asstr()[:].tolist() == CLIPS
            assert file[name].dtype == dtype
            np.testing.assert_array_equal(file[name], array)
    with pytest.raises(AvmilError, match="imported features"):
        with_weights(store.info["recipe"], ("regions",), WeightsFiles())


class Malicious:
    def __reduce__(self):
        return print, ("unpickled",)


def test_bad_arrays_are_listed_and_tried_again(manifest_path, tmp_path, capsys):
    audio = random_arrays(10, 128)
    folder = tmp_path / "audio"
    source = write_folder(folder, audio)
    np.save(folder / "train0.npy", np.zeros((10, 64), np.float32))
    np.save(folder / "train1.npy", np.array([Malicious()]), allow_pickle=True)
    np.save(folder / "train2.npy", np.full((10, 128), np.nan, np.float32))
    np.save(folder / "val0.npy", np.zeros((10, 128), int))
    (folder / "val1.npy").write_bytes((folder / "val2.npy").read_bytes()[:99])
    (folder / "val2.npy").unlink()
    features_dir, status = run_import(manifest_path, audio=source)
    assert status == 0
    assert "unpickled" not in capsys.readouterr().out
    failed = failures(features_dir)
    assert list(failed) == ["train0", "train1", "train2", *CLIPS[-3:]]
    assert "[10, 128]" in failed["train0"]
    assert "allow_pickle" in failed["train1"]
    assert "NaN" in failed["train2"]
    assert "int64" in failed["val0"]
    assert source in failed["val2"]
    for name, array in zip(CLIPS, audio, strict=True):
        np.save(folder / f"{name}.npy", array)
    assert run_import(manifest_path, audio=source)[1] == 0
    assert not failures(features_dir)
    store = FeatureStore(features_dir, "val")
    np.testing.assert_array_equal(store[1].segments, audio[CLIPS.index("val1")])


def test_mistakes_are_named(manifest_path, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["audio"], file["more"] = random_arrays(10, 4), [1.0]
        file["few"] = random_arrays(10, 4)[:3]
    (tmp_path / "empty").mkdir()
    for name, message in {
        "a.h5": "audio, few, more as .*a.h5:KEY, received none",
        "a.h5:sound": "audio, few, more as .*, received sound",
        "a.h5:few": "9, received 3",
        "no.h5": "HDF5",
        "none": "which is not there",
        "empty": "not in .*empty",
    }.items():
        with pytest.raises((AvmilError, OSError), match=message):
            run_import(manifest_path, audio=str(tmp_path / name))
        assert not (tmp_path / "features").exists()
    with pytest.raises(AvmilError, match="--audio or --visual"):
        run_import(manifest_path)


def test_clips_of_different_lengths_go_out_and_in(manifest_path, tmp_path):
    audio = [a[: n + 1] for n, a in enumerate(random_arrays(10, 6))]
    features_dir, _ = run_import(
        manifest_path, audio=write_folder(tmp_path / "audio", audio)
    )
    run_export(features_dir, tmp_path / "out", format="h5", fields="segments")
    (tmp_path / "features").rename(tmp_path / "first")
    features_dir, _ = run_import(
        manifest_path, audio=f"{tmp_path}/out/segments.h5:segments"
    )
    store = FeatureStore(features_dir)
    for name, array in zip(CLIPS, audio, strict=True):
        clip = store[store.clip_ids.index(name)]
        np.testing.assert_array_equal(clip.segments, array)
    with pytest.raises(AvmilError, match="received sound"):
        run_export(features_dir, tmp_path / "out", fields="segments,sound")
