"""Whether a file's weights fit a network, told before any is assigned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class MisfitError(ValueError):
    """Weights that are missing or of another shape."""


def check(
    path: str,
    network: str,
    expected: Mapping[str, Sequence[int]],
    received: Mapping[str, Sequence[int]],
) -> None:
    """Compares shapes by name; what else a file holds is left alone.

    Args:
        path: The file, for the message.
        network: Name of the network, for the message.
        expected: Shapes of the network's weights.
        received: Shapes of those in the file.

    Raises:
        MisfitError: naming every weight that does not fit.
    """
    problems = []
    for name, shape in expected.items():
        if name not in received:
            problems.append(f"{name} is missing")
        elif tuple(received[name]) != tuple(shape):
            problems.append(
                f"{name} has shape {list(received[name])} instead of "
                f"{list(shape)}"
            )
    if problems:
        raise MisfitError(
            f"Expected {network}'s weights in {path}, received a checkpoint in "
            "which " + ", ".join(problems) + "."
        )
