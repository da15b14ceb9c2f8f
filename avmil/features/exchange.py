"""Features of others: published arrays in, and a features directory out."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ClipError, ConfigError
from avmil.common.progress import Progress
from avmil.features import clip_features, dataset
from avmil.features.clip_features import ClipFeatures
from avmil.features.store import FeatureStore
from flags import FeatureExportConfig, ImportConfig

_HDF5 = re.compile(r"(.+\.(?:h5|hdf5))(?::(.+))?")
_IDS = "clip_ids"
# Frames of published features have no size: boxes are those of this one.
_SIDE_PX = 224


@dataclasses.dataclass(frozen=True)
class _Source:
    """The arrays of one modality: a folder of .npy files, or an HDF5 file."""

    name: str
    path: str
    # Array of a clip; a KeyError or FileNotFoundError if it has none.
    find: Callable[[ManifestEntry], Any]

    def read(self, row: ManifestEntry) -> np.ndarray:
        """Reads a clip's array; a ClipError if it has none that is usable."""
        wanted = f"expected floats [rows of time, ..., size] in {self.path}"
        try:
            array = np.asarray(self.find(row))
        except (FileNotFoundError, KeyError) as error:
            raise ClipError("import", f"not in {self.path}") from error
        except (ValueError, OSError, EOFError) as error:
            raise ClipError("import", f"{wanted}, received: {error}") from error
        if (
            array.dtype.kind != "f"
            or not 2 <= array.ndim <= 4
            or not array.size
        ):
            found = f"{array.dtype} {array.shape}"
            raise ClipError("import", f"{wanted}, received {found}")
        return array


def import_features(config: ImportConfig) -> int:
    """Makes a features directory of arrays that others have published.

    Each clip has an array of audio [T, D], a segment a row, and one of
    pictures [S, D] of whole frames, [S, K, D] or [S, rows, columns, D] of their
    regions; all rows of time are equally long. What a clip lacks, or has in
    another shape, is listed in failed.csv; the same command tries it again.

    Returns:
        An exit status: 1 if not a single clip could be imported.

    Raises:
        AvmilError: for a mistake in flags or files.
    """
    # Their videos are not read.
    class_names, rows = manifest.read(config.manifest, config.classes, True)
    named = {"audio": config.audio, "visual": config.visual}
    named = {modality: name for modality, name in named.items() if name}
    if not named:
        raise ConfigError("Expected --audio or --visual, received neither.")
    with contextlib.ExitStack() as opened:
        sources = {
            modality: _open(f"--{modality}", name, rows, opened)
            for modality, name in named.items()
        }
        importer = _Importer(sources, rows, config.duration_s)
        opened.enter_context(files.exclusive(config.features_dir))
        planned = dataset.plan(
            rows,
            config.features_dir,
            importer.recipe,
            class_names,
            config.shard_size,
            importer.fields,
        )
        with Progress(len(rows), "clip") as progress:
            for shard in planned:
                if shard.is_complete():
                    shard.reopen()
                shard.complete(importer)
                progress.update(len(shard.rows))
        return dataset.report(config.features_dir, planned, "imported")


def _open(
    flag: str,
    name: str,
    rows: Sequence[ManifestEntry],
    opened: contextlib.ExitStack,
) -> _Source:
    """Opens what a flag names; a ConfigError if there is no such thing."""
    if match := _HDF5.fullmatch(name):
        return _open_hdf5(flag, *match.groups(), rows, opened)
    if not files.path(name).is_dir():
        raise ConfigError(
            f"{flag}: Expected a folder of .npy files, FILE.h5 or FILE.h5:KEY, "
            f"received {name}, which is not there."
        )

    def find(row: ManifestEntry) -> Any:
        # Published ones are often named by the video of the clip.
        stem = os.path.splitext(os.path.basename(row.path))[0]
        path = files.join(name, f"{row.clip_id}.npy")
        if not files.exists(path):
            path = files.join(name, f"{stem}.npy")
        # Pickled arrays, which could run any program, are refused.
        return np.load(io.BytesIO(files.read_bytes(path)))

    return _Source(os.path.basename(name.rstrip("/")), name, find)


def _open_hdf5(
    flag: str,
    path: str,
    key: str | None,
    rows: Sequence[ManifestEntry],
    opened: contextlib.ExitStack,
) -> _Source:
    try:
        file = opened.enter_context(h5py.File(files.path(path).open("rb")))
    except OSError as error:
        raise ConfigError(
            f"{flag}: Expected an HDF5 file, received {path}: {error}."
        ) from error
    keys = [name for name in file if name != _IDS]
    if key is None and len(keys) == 1:
        (key,) = keys
    if not key or key not in file:
        raise ConfigError(
            f"{flag}: Expected one of the keys {', '.join(keys)} as "
            f"{path}:KEY, received {key or 'none'}."
        )
    arrays = file[key]
    name = f"{os.path.basename(path)}:{key}"
    if isinstance(arrays, h5py.Group):
        return _Source(name, path, lambda row: arrays[row.clip_id])
    ids = [row.clip_id for row in rows]
    if _IDS in file:
        ids = file[_IDS].asstr()[:].tolist()
    if len(ids) != len(arrays):
        raise ConfigError(
            f"{flag}: Expected as many arrays in {path} as the manifest has "
            f"clips, in its order, {len(ids)}, received {len(arrays)}. Name "
            f"the manifest of all clips, or add the ids as {_IDS}."
        )
    numbers = {clip_id: number for number, clip_id in enumerate(ids)}
    return _Source(name, path, lambda row: arrays[numbers[row.clip_id]])


class _Importer:
    """Makes the features of a clip from its arrays.

    The first clip that has them all decides shapes and types; `recipe` names
    the sources.
    """

    def __init__(
        self,
        sources: dict[str, _Source],
        rows: Sequence[ManifestEntry],
        duration_s: float,
    ) -> None:
        self._sources, self._duration_s = sources, duration_s
        for row in rows:
            with contextlib.suppress(ClipError):
                first = self._read(row)
                break
        else:  # Says what is wrong with the first one.
            first = self._read(rows[0])
        self._shapes = {name: a.shape[1:] for name, a in first.items()}
        self.fields = clip_features.layout(1, 1)
        self.recipe: dict[str, Any] = {
            "modalities": "_".join(sources),
            "duration_s": duration_s,
            **{f"imported_{k}": source.name for k, source in sources.items()},
        }
        for name, field in (("audio", "segments"), ("visual", "regions")):
            if name in first:
                shape = -1, self._shapes[name][-1]
                dtype = first[name].dtype.name
                self.fields[field] = clip_features.Field(dtype, shape)
        if "visual" in first:
            num_frames = len(first["visual"])
            self.recipe["frame_rate_hz"] = num_frames / self._clip_s(row)
            self.recipe["visual_grid"] = list(self._shapes["visual"][:-1])

    def __call__(self, row: ManifestEntry) -> ClipFeatures:
        """Reads a clip; a ClipError if a source has no such array for it."""
        arrays = self._read(row)
        for name, array in arrays.items():
            if array.shape[1:] != self._shapes[name]:
                raise ClipError(
                    "import",
                    f"expected {name} features of shape "
                    f"{[len(array), *self._shapes[name]]}, as of other clips, "
                    f"received {list(array.shape)} from "
                    f"{self._sources[name].name}",
                )
        duration_s = self._clip_s(row)
        regions = arrays.get("visual", np.zeros((0, 1), np.float32))
        segments = arrays.get("audio", np.zeros((0, 1), np.float32))
        num_frames = len(regions)
        boxes = _boxes(regions.shape[1:-1])  # [K, 4]
        frame_times_s = (np.arange(num_frames) + 0.5) / max(1, num_frames)
        frame_times_s = (frame_times_s * duration_s).astype(np.float32)
        edges_s = np.linspace(0, duration_s, len(segments) + 1)
        return ClipFeatures(
            clip_id=row.clip_id,
            labels=row.labels,
            duration_s=duration_s,
            regions=regions.reshape(-1, regions.shape[-1]),
            boxes=np.tile(boxes, (num_frames, 1)),
            objectness=np.ones(num_frames * len(boxes), np.float32),
            region_times_s=np.repeat(frame_times_s, len(boxes)),
            frame_times_s=frame_times_s,
            frame_size_px=np.array([_SIDE_PX, _SIDE_PX], np.int32),
            log_mel=np.zeros((0, 96, 64), np.float32),
            segments=segments,
            segment_times_s=np.stack([edges_s[:-1], edges_s[1:]], axis=1),
            cvssp_log_mel=np.zeros((0, 64), np.float32),
        )

    def _read(self, row: ManifestEntry) -> dict[str, np.ndarray]:
        return {name: s.read(row) for name, s in self._sources.items()}

    def _clip_s(self, row: ManifestEntry) -> float:
        if row.end_s is None:
            return self._duration_s
        return row.end_s - (row.start_s or 0.0)


def _boxes(shape: Sequence[int]) -> np.ndarray:
    """Boxes [K, 4] of the cells of a grid; of others than one, the frame's."""
    num_rows, num_columns = shape if len(shape) == 2 else (1, 1)
    rows, columns = np.mgrid[:num_rows, :num_columns].reshape(2, -1)
    step = _SIDE_PX / np.array([num_columns, num_rows] * 2)
    boxes = np.stack([columns, rows, columns + 1, rows + 1], axis=1) * step
    boxes[:, 2:] -= 1
    copies = shape[0] if len(shape) == 1 else 1
    return np.repeat(boxes, copies, axis=0).astype(np.float32)


def export_features(config: FeatureExportConfig) -> None:
    """Writes fields of all clips as .npy files by clip id, or as HDF5.

    An HDF5 file holds one array of all clips, where their shapes are equal,
    else one by each clip's id; and their ids. Imported features have the
    shapes that they had.

    Raises:
        AvmilError: for a mistake in flags or files.
    """
    store = FeatureStore(config.features_dir)
    names = tuple(config.fields.split(","))
    if unknown := set(names) - set(store.fields):
        raise ConfigError(
            f"--fields: Expected some of {', '.join(store.fields)}, received "
            f"{', '.join(sorted(unknown))}."
        )
    clips = dict(zip(store.clip_ids, range(len(store)), strict=True))
    if config.manifest:
        _, rows = manifest.read(config.manifest, config.classes, True)
        listed = [row.clip_id for row in rows]
        clips = {name: clips[name] for name in listed if name in clips}
    grid = store.info["recipe"].get("visual_grid", [])

    def read(name: str, number: int) -> np.ndarray:
        array = store.read(number, (name,))[name]
        if name in ("regions", "boxes") and grid:
            return array.reshape(-1, *grid, array.shape[-1])
        return array

    files.make_directory(config.output_dir)
    with Progress(len(clips) * len(names), "array") as progress:
        for name in names:
            folder = files.join(config.output_dir, name)
            if config.format == "npy":
                files.make_directory(folder)
                for clip_id, number in clips.items():
                    content = io.BytesIO()
                    np.save(content, read(name, number), allow_pickle=False)
                    path = files.join(folder, f"{clip_id}.npy")
                    files.write_bytes(path, content.getvalue())
                    progress.update()
                continue
            shapes = {read(name, number).shape for number in clips.values()}
            with (
                files.replacing(f"{folder}.h5") as temporary,
                h5py.File(temporary, "w") as file,
            ):
                file[_IDS] = list(clips)
                is_regular = len(shapes) == 1
                if is_regular:
                    shape = len(clips), *shapes.pop()
                    file.create_dataset(name, shape, store.fields[name].dtype)
                for place, (clip_id, number) in enumerate(clips.items()):
                    if is_regular:
                        file[name][place] = read(name, number)
                    else:
                        file[f"{name}/{clip_id}"] = read(name, number)
                    progress.update()
    print(f"Finished: {len(clips)} clips exported to {config.output_dir}")
