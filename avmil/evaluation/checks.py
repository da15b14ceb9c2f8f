"""Checks of the matrices that contract functions and score files bring in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def indicator_matrix(
    values: npt.ArrayLike, name: str, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Returns labels or predictions, {0, 1} of any type, as int8 [N, C].

    Raises:
        ValueError: if a value is another, or the shape another than that of
            the labels; calls the matrix by its name.
    """
    matrix = _matrix(values, name, shape)
    if not np.isin(matrix, (0, 1)).all():
        raise ValueError(
            f"Expected {name} to hold 0 and 1 only, received "
            f"{np.setdiff1d(matrix, (0, 1))[0]}."
        )
    return matrix.astype(np.int8)


def score_matrix(values: npt.ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Returns scores as float64 [N, C].

    Raises:
        ValueError: if the shape is another than that of the labels, or a
            value is neither finite nor -inf, for a clip without features.
    """
    matrix = _matrix(values, "scores", shape).astype(np.float64)
    rows = np.flatnonzero((np.isnan(matrix) | (matrix == np.inf)).any(axis=1))
    if rows.size:
        raise ValueError(
            "Expected scores to be finite (or -inf, without features), "
            f"received NaN or +inf in {rows.size} clip(s), the first in row "
            f"{rows[0]}."
        )
    return matrix


def _matrix(
    values: npt.ArrayLike, name: str, shape: tuple[int, ...] | None
) -> np.ndarray:
    matrix = np.asarray(values)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(
            f"Expected {name} of shape [N, C] with at least one clip and one "
            f"class, received shape {matrix.shape}."
        )
    if shape not in (None, matrix.shape):
        raise ValueError(
            f"Expected labels and {name} of one shape [N, C], received "
            f"{shape} and {matrix.shape}."
        )
    return matrix
