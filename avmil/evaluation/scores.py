"""The scores of one split, and the fusion of several."""

from __future__ import annotations

import collections
import dataclasses
import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from avmil.evaluation import checks


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreSet:
    """Labels and scores of one split, the content of `scores-{split}.npz`.

    A clip without features keeps its labels and scores -inf for every class:
    no threshold lets it pass, so that each of its labels is missed.

    Raises:
        ValueError: if shapes disagree, a name occurs twice, or a score is NaN
            or infinite; names the clips.
    """

    clip_ids: Sequence[str]  # N unique names.
    class_names: Sequence[str]  # C unique names.
    labels: np.ndarray  # {0, 1} of shape [N, C], kept as int8.
    scores: np.ndarray  # Float32 [N, C]; a row is finite, or -inf as a whole.

    def __post_init__(self) -> None:
        labels = checks.indicator_matrix(self.labels, "labels")
        scores = np.asarray(self.scores, np.float32)
        if scores.shape != labels.shape:
            raise ValueError(
                "Expected labels and scores of one shape [N, C], received "
                f"{labels.shape} and {scores.shape}."
            )
        for axis, field in enumerate(("clip_ids", "class_names")):
            names = tuple(map(str, getattr(self, field)))
            if len(names) != labels.shape[axis]:
                raise ValueError(
                    f"Expected {field} of length {'NC'[axis]} = "
                    f"{labels.shape[axis]}, the shape of labels, received "
                    f"{len(names)}."
                )
            counts = collections.Counter(names)
            if repeated := [name for name in counts if counts[name] > 1]:
                raise ValueError(
                    f"Expected unique {field}, received "
                    f"{_shortened(repeated)} more than once."
                )
            object.__setattr__(self, field, names)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "scores", scores)
        finite = np.isfinite(scores).all(axis=1)
        usable = finite | np.isneginf(scores).all(axis=1)
        if not usable.all():
            raise ValueError(
                "Expected the scores of a clip to be finite (or all -inf, "
                "without features), received others for "
                f"{_shortened(self._names_of(~usable))}."
            )

    @property
    def missing_clip_ids(self) -> tuple[str, ...]:
        """The clips without features."""
        return self._names_of(np.isneginf(self.scores).all(axis=1))

    @property
    def num_clips(self) -> int:
        """Number of clips, including those without features."""
        return len(self.clip_ids)

    @property
    def num_missing(self) -> int:
        """Number of clips without features."""
        return len(self.missing_clip_ids)

    def with_missing(
        self, clip_ids: Sequence[str], labels: npt.ArrayLike
    ) -> ScoreSet:
        """Adds K clips with labels, {0, 1} of shape [K, C], and no features."""
        labels = np.reshape(labels, (-1, len(self.class_names)))
        scores = np.full(labels.shape, -np.inf)
        return ScoreSet(
            (*self.clip_ids, *clip_ids),
            self.class_names,
            np.concatenate([self.labels, labels]),
            np.concatenate([self.scores, scores]),
        )

    def difference(self, other: ScoreSet) -> str:
        """Says how clips, classes or labels differ; "" if they do not.

        The same clips in another order differ.
        """
        for what, mine, others in (
            ("other classes", self.class_names, other.class_names),
            ("other clips or another order", self.clip_ids, other.clip_ids),
        ):
            if mine != others:
                return f"{what}, {len(mine)} and {len(others)}"
        if not np.array_equal(self.labels, other.labels):
            return "other labels of the same clips"
        return ""

    def to_bytes(self) -> bytes:
        """The content of an .npz file, free of pickled objects."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            clip_ids=np.array(self.clip_ids, np.str_),
            class_names=np.array(self.class_names, np.str_),
            labels=self.labels,
            scores=self.scores,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, path: str = "bytes") -> ScoreSet:
        """Reads what `to_bytes` wrote; errors call it by its path.

        Raises:
            ValueError: if it is damaged, holds pickled objects, lacks an
                array or holds arrays that do not fit together.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                # `to_bytes` does not compress.
                members = arrays.zip.infolist()
                if sum(m.file_size for m in members) > len(content):
                    raise ValueError("it unpacks to more than its size.")
                return cls(*(arrays[name] for name in names))
        except Exception as error:  # Of NumPy or the archive, of any kind.
            raise ValueError(
                f"Expected an .npz file with {', '.join(names)}, received "
                f"{path}: {error} Write it again with evaluate.py."
            ) from error

    def _names_of(self, mask: np.ndarray) -> tuple[str, ...]:
        return tuple(self.clip_ids[row] for row in np.flatnonzero(mask))


def fuse(members: Mapping[str, ScoreSet]) -> ScoreSet:
    """Fuses several scorings of the same clips: their mean probability.

    A clip gets the mean over the members that have scores of it, and stays
    without scores where none has.

    Source: `recognise` of CVSSP's code for DCASE 2017 task 4 (yongxuUSTC/
    dcase2017_task4_cvssp), which averages the probabilities of ten checkpoints.
    Errors call the members, one or more, by their keys.

    Raises:
        ValueError: if their clips, classes or labels differ, or if scores are
            no probabilities.
    """
    name, first = next(iter(members.items()))
    for other_name, other in members.items():
        if differing := first.difference(other):
            raise ValueError(
                "Expected scores of the same clips and classes to fuse, "
                f"received {name} and {other_name} with {differing}."
            )
        finite = other.scores[np.isfinite(other.scores)]
        # A sum of shares may exceed 1 by rounding.
        if ((finite < 0) | (finite > 1 + 1e-6)).any():
            raise ValueError(
                "Expected probabilities to fuse, in [0, 1], received scores "
                f"from {finite.min():.3g} to {finite.max():.3g} of "
                f"{other_name}."
            )
    scores = np.stack([member.scores for member in members.values()])
    known = np.ma.masked_invalid(scores.astype(np.float64))  # [S, N, C]
    mean = known.mean(axis=0).filled(-np.inf)
    return ScoreSet(first.clip_ids, first.class_names, first.labels, mean)


def _shortened(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" * (len(names) > limit)
    return ", ".join(names[:limit]) + more
