"""Checks of the matrices that every step of the report receives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def indicator_matrix(values: npt.ArrayLike, name: str) -> np.ndarray:
    """Checks labels or predictions.

    Args:
        values: {0, 1} of shape [N, C], of any type.
        name: What the error calls them.

    Returns:
        int8 of shape [N, C].

    Raises:
        ValueError: if the shape or a value is another.
    """
    matrix = np.asarray(values)
    _check_shape(matrix, name)
    if not np.isin(matrix, (0, 1)).all():
        raise ValueError(
            f"Expected {name} to hold 0 and 1 only, received "
            f"{np.setdiff1d(matrix, (0, 1))[0]}."
        )
    return matrix.astype(np.int8)


def score_matrix(values: npt.ArrayLike, name: str = "scores") -> np.ndarray:
    """Checks scores: finite, or -inf for a clip without features.

    Args:
        values: Numbers of shape [N, C].
        name: What the error calls them.

    Returns:
        float32 or float64 of shape [N, C].

    Raises:
        ValueError: if the shape is another or a value is NaN or +inf.
    """
    matrix = np.asarray(values)
    _check_shape(matrix, name)
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float64)
    rows = np.flatnonzero((np.isnan(matrix) | (matrix == np.inf)).any(axis=1))
    if rows.size:
        raise ValueError(
            f"Expected {name} to be finite (or -inf, without features), "
            f"received NaN or +inf in {rows.size} clip(s), the first in row "
            f"{rows[0]}."
        )
    return matrix


def same_shape(first: np.ndarray, second: np.ndarray, names: str) -> None:
    """Checks that two matrices speak of the same clips and classes.

    Raises:
        ValueError: if their shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(
            f"Expected {names} of one shape [N, C], received {first.shape} "
            f"and {second.shape}."
        )


def _check_shape(matrix: np.ndarray, name: str) -> None:
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(
            f"Expected {name} of shape [N, C] with at least one clip and one "
            f"class, received shape {matrix.shape}."
        )
