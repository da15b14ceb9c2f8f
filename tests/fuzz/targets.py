"""Damaged files, and what avmil makes of them.

A target writes a sound file and says what reading it gives. Each input is the
sound file, mutated. What avmil wrote gives the same result or is refused by an
error that names the file; what others made may also be another sound file.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from avmil.clips import manifest, media
from avmil.common import files
from avmil.common.errors import AvmilError, MediaError
from avmil.evaluation import truth
from avmil.evaluation.scores import ScoreSet
from avmil.features.store import FeatureStore
from tests.fast_rcnn_features.caffemodel_files import caffemodel_bytes
from tests.feature_files import write_features
from tests.media_files import noise, numbered, write_clip

_HUGE = (b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x00\x00\x00\x80", b"\x00" * 4)
_NUMBERS = (b"-1", b"1e308", b"999999999999", b"0", b"null", b'"x"', b"[]")


class Target:
    """A file, and a function that reads it and gives what can be compared."""

    def __init__(
        self,
        path: pathlib.Path,
        read: Callable[[], Any],
        is_ours: bool = True,
    ) -> None:
        self.path, self.read, self.is_ours = path, read, is_ours
        self.content = path.read_bytes()
        self.sound = repr(read())


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Flips bits, cuts, repeats or moves parts, or declares huge numbers."""
    damaged = bytearray(content)
    place = int(rng.integers(len(content)))
    length = int(rng.integers(1, 64))
    kind = rng.integers(6)
    if kind == 0:
        for place in rng.integers(len(content), size=rng.integers(1, 9)):
            damaged[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del damaged[place:]
    elif kind == 2:
        del damaged[place : place + length]
    elif kind == 3:
        other = int(rng.integers(len(content)))
        damaged[place:place] = content[other : other + length]
    elif kind == 4:
        damaged[place : place + 4] = _HUGE[rng.integers(len(_HUGE))]
    elif numbers := list(re.finditer(rb"-?\d+(\.\d+)?", content[: 1 << 20])):
        start, end = numbers[rng.integers(len(numbers))].span()
        damaged[start:end] = _NUMBERS[rng.integers(len(_NUMBERS))]
    return bytes(damaged)


def try_input(target: Target, seed: int) -> tuple[str, str]:
    """Reads a mutated file; says what became of it, and details."""
    content = mutate(target.content, np.random.default_rng(seed))
    target.path.write_bytes(content)
    try:
        result = repr(target.read())
    except MediaError:  # In failed.csv it stands beside the clip's id.
        return "refused", ""
    except (AvmilError, OSError) as error:
        names_file = target.path.name in str(error)
        return ("refused" if names_file else "unnamed"), str(error)
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception:  # noqa: BLE001
        return "traceback", traceback.format_exc()
    if result == target.sound:
        return "same", ""
    return ("different" if target.is_ours else "other file"), result[:300]


def _media(suffix: str) -> Callable[[pathlib.Path], Target]:
    def make(folder: pathlib.Path) -> Target:
        path = write_clip(folder / f"a.{suffix}", numbered(20), noise(2.0))

        def read():
            clip = media.decode_clip(path, frame_rate_hz=4)
            assert clip.waveform is None or np.isfinite(clip.waveform).all()
            return len(clip.frames_rgb), clip.duration_s

        return Target(path, read, is_ours=False)

    return make


def _features(name: str) -> Callable[[pathlib.Path], Target]:
    def make(folder: pathlib.Path) -> Target:
        write_features(str(folder), {"val": 3}, missing=("val001",))

        def read():
            store = FeatureStore(str(folder))
            clips = [vars(store[i]) for i in range(len(store))]
            arrays = [
                a.tobytes()
                for c in clips
                for a in c.values()
                if isinstance(a, np.ndarray)
            ]
            return (
                hash(b"".join(arrays)),
                store.clip_ids,
                store.missing,
                (store.labels.tolist(), store.info["recipe"]),
            )

        return Target(folder / name, read)

    return make


def _scores(folder: pathlib.Path) -> Target:
    path = folder / "scores-val.npz"
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (9, 3))
    ids, classes = [f"c{i}" for i in range(9)], ["bus", "cat", "dog"]
    scores = ScoreSet(ids, classes, labels, rng.normal(size=(9, 3)))
    path.write_bytes(scores.to_bytes())

    def read():
        try:
            found = ScoreSet.from_bytes(path.read_bytes(), str(path))
        except ValueError as error:  # `read_scores` makes one of it.
            raise AvmilError(str(error)) from error
        return found.clip_ids, found.labels.tolist(), found.scores.tolist()

    return Target(path, read)


def _manifest(folder: pathlib.Path) -> Target:
    (folder / "classes.txt").write_text("bus\ncat\n")
    lines = [f"c{i},c{i}.mp4,bus;cat,train,0.5,{i + 1}" for i in range(9)]
    header = "clip_id,path,labels,split,start_s,end_s"
    path = folder / "manifest.csv"
    path.write_text("\n".join([header, *lines, ""]))
    return Target(path, lambda: manifest.read(str(path)), is_ours=False)


def _truth(folder: pathlib.Path) -> Target:
    path = folder / "truth.json"
    sight = {"t0": 1, "t1": 2.5, "boxes": [[1.5, 10, 20, 30, 40]]}
    event = {"class": "bus", "sound": [0.5, 3.0], "sight": sight}
    path.write_text(json.dumps({"a": [event], "b": [], "c": [event] * 2}))

    def read():
        found = truth.parse(path.read_bytes(), str(path), ["bus"], "abc")
        return {
            k: [(e.class_name, e.sound) for e in v] for k, v in found.items()
        }

    return Target(path, read, is_ours=False)


def _checkpoint(name: str) -> Callable[[pathlib.Path], Target]:
    def make(folder: pathlib.Path) -> Target:
        import keras

        from avmil.runs.checkpoints import Checkpoints, TrainState

        inputs = keras.Input((3,))
        outputs = keras.layers.Dense(2)(inputs)
        network = keras.Model(inputs, outputs, name="small")
        network.compile("adam")
        checkpoints = Checkpoints(str(folder))
        checkpoints.save("last", network, TrainState(step=3))

        def read():
            try:
                network, state = checkpoints.load("last", "small")
            except AvmilError as error:  # It names the folder of both.
                raise AvmilError(f"{name}: {error}") from error
            weights = [w.tolist() for w in network.get_weights()]
            return weights, state

        return Target(folder / "checkpoints/last-00000003" / name, read)

    return make


def _config(folder: pathlib.Path) -> Target:
    from avmil.runs.run import Run, TrainedOn
    from flags import TrainConfig

    config = TrainConfig("av_two_stream", run_dir=str(folder))
    Run.start(config, TrainedOn({"max_boxes": 10}, ["bus", "cat"]))

    def read():
        run = Run(str(folder))
        return run.config, run.trained_on

    return Target(folder / "config.json", read)


def _thresholds(folder: pathlib.Path) -> Target:
    path = folder / "thresholds.json"
    files.write_json(path, {"bus": 0.25, "cat": -1.5})
    return Target(
        path, lambda: files.read_json(path, dict[str, float]), is_ours=False
    )


def _fusion(folder: pathlib.Path) -> Target:
    from avmil.runs.fusion import Fusion

    path = folder / "fusion.json"
    choices = {
        "system": "cvssp_gated_crnn",
        "fc_weights": "",
        "learning_rate": 0.1,
    }
    choices |= {"steps": 9, "early_stopping": 0}
    member = {"run": "g", "system": "cvssp_gated_crnn", "seed": 1}
    member |= {"settings": json.dumps([choices, {}, {}])}
    member |= {"checkpoint": "last", "step": 9}
    content = {"system": "cvssp_fusion", "members": [member] * 2}
    files.write_json(path, content, digest=True)
    return Target(path, lambda: Fusion(str(folder)).identity)


def _event_thresholds(folder: pathlib.Path) -> Target:
    from avmil.runs.localization_evaluation import EventThresholds

    path = folder / "event_thresholds.json"
    content = {"weights": {"checkpoint": "last", "step": 9}, "from": "val"}
    content |= {"thresholds": {"bus": 0.25, "cat": -1.5}, "num_regions": 9.5}
    files.write_json(path, content, digest=True)
    return Target(path, lambda: files.read_json(path, EventThresholds))


def _result(folder: pathlib.Path) -> Target:
    from avmil.localization.batch import _Kept
    from avmil.report.video_results import FoundClass, VideoResult

    path = folder / "result.json"
    found = FoundClass("bus", 0.5, 0.25, (3, 4), [(0, 1, 0.5)], [(0.5,) * 6])
    kept = _Kept({"step": 9}, VideoResult("a", "a.mp4", "found", found=[found]))
    files.write_json(path, dataclasses.asdict(kept), digest=True)
    return Target(path, lambda: files.read_json(path, _Kept))


def _fc_weights(name: str) -> Callable[[pathlib.Path], Target]:
    def make(folder: pathlib.Path) -> Target:
        from fast_rcnn_features.weights import load_fc_weights

        path = folder / name
        rng = np.random.default_rng(0)
        fc6, fc7 = rng.normal(size=(4, 9)), rng.normal(size=(4, 4))
        bias = rng.normal(size=4)
        if path.suffix == ".npz":
            kernels = {"fc6_kernel": fc6.T, "fc7_kernel": fc7.T}
            np.savez(path, **kernels, fc6_bias=bias, fc7_bias=bias)
        else:
            layers = {"fc6": [fc6, bias], "fc7": [fc7, bias]}
            path.write_bytes(caffemodel_bytes(layers))

        def read():
            try:
                found = load_fc_weights(path, 9, 4)
            except ValueError as error:
                raise AvmilError(str(error)) from error
            assert all(np.isfinite(a).all() for a in found.values())
            return {name: a.tolist() for name, a in found.items()}

        return Target(path, read, is_ours=False)

    return make


def _audio_weights(name: str) -> Callable[[pathlib.Path], Target]:
    def make(folder: pathlib.Path) -> Target:
        import keras

        from tests.vggish import checkpoint_files
        from vggish import checkpoint

        inputs = keras.Input((3, 3, 1))
        convolution = keras.layers.Conv2D(2, 3, use_bias=False)
        convolution.name = "layer1.conv"
        outputs = keras.layers.BatchNormalization(
            scale=False, name="layer1.conv.bn"
        )(convolution(inputs))
        outputs = keras.layers.Flatten()(outputs)
        outputs = keras.layers.Dense(2, name="logits")(outputs)
        network = keras.Model(inputs, outputs, name="yamnet")
        shapes = {"layer1/conv/kernel": (3, 3, 1, 2)}
        for statistic in ("beta", "moving_mean", "moving_variance"):
            shapes[f"layer1/conv/bn/{statistic}"] = (2,)
        shapes |= {"logits/kernel": (2, 2), "logits/bias": (2,)}
        values = checkpoint_files.random_values(shapes)
        write = getattr(checkpoint_files, f"write_{name.split('.')[1]}")
        path = write(folder / name, values)

        def read():
            try:
                checkpoint.load(network, path)
            except ValueError as error:
                raise AvmilError(str(error)) from error
            found = network.get_weights()
            assert all(np.isfinite(a).all() for a in found)
            return [a.tolist() for a in found]

        return Target(path, read, is_ours=False)

    return make


def _forest(folder: pathlib.Path) -> Target:
    from fast_rcnn_features.edges import StructuredForest

    path = folder / "forest.yml"
    nodes = "[ 2, 0, 0 ]"
    tables = {"childs": nodes, "featureIds": "[ 5, 0, 0 ]"}
    tables |= {
        "thresholds": "[ 0.1, 0., 0. ]",
        "edgeBoundaries": "[ 0, 0, 2, 4 ]",
    }
    tables |= {"edgeBins": "[ 0, 17, 34, 51 ]"}
    options = {
        "stride": 2,
        "shrinkNumber": 2,
        "patchSize": 32,
        "patchInnerSize": 16,
        "numberOfGradientOrientations": 4,
        "gradientSmoothingRadius": 0,
        "regFeatureSmoothingRadius": 2,
        "ssFeatureSmoothingRadius": 8,
        "gradientNormalizationRadius": 4,
        "selfsimilarityGridSize": 5,
        "numberOfTrees": 1,
        "numberOfTreesToEvaluate": 1,
    }
    text = "%YAML:1.0\n---\noptions:\n"
    text += "".join(f"    {k}: {v}\n" for k, v in options.items())
    text += "".join(f"{k}:\n    - {v}\n" for k, v in tables.items())
    path.write_text(text)
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)

    def read():
        try:
            found, _ = StructuredForest(path)(image)
        except ValueError as error:
            raise AvmilError(str(error)) from error
        except Exception as error:  # OpenCV's, which a clip fails with.
            raise MediaError(str(error)) from error
        return found.sum()

    return Target(path, read, is_ours=False)


_SHARD = "val-00000-of-00001.tfrecord"
# The first need no Keras.
TARGETS = {
    "clip.mp4": _media("mp4"),
    "clip.mkv": _media("mkv"),
    "clip.ts": _media("ts"),
    "shard": _features(_SHARD),
    "index": _features(f"{_SHARD}.index.json"),
    "dataset_info.json": _features("dataset_info.json"),
    "scores.npz": _scores,
    "manifest.csv": _manifest,
    "truth.json": _truth,
    "thresholds.json": _thresholds,
    "config.json": _config,
    "state.json": _checkpoint("state.json"),
    "model.keras": _checkpoint("model.keras"),
    "fusion.json": _fusion,
    "event_thresholds.json": _event_thresholds,
    "result.json": _result,
    "weights.npz": _fc_weights("weights.npz"),
    "net.caffemodel": _fc_weights("net.caffemodel"),
    "yamnet.h5": _audio_weights("yamnet.h5"),
    "yamnet.tflite": _audio_weights("yamnet.tflite"),
    "forest.yml": _forest,
}
