"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

import tqdm

_LINE_EVERY_S = 10.0
# All but line feed and tab: file names may hold escape sequences.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text with its control characters written out, for a terminal."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


class Progress:
    """Counts finished pieces of work; shows rate, remaining time and notes.

    Args:
        total: Pieces of work in all.
        unit: What a piece is, in the singular.
        initial: Pieces that were done before.

    Attributes:
        notes: Shown behind the rate, beside those of `update`.
    """

    def __init__(self, total: int, unit: str, initial: int = 0) -> None:
        self._total, self._unit = total, unit
        self.done = initial
        self.notes: dict[str, Any] = {}
        self._line_s = time.monotonic()
        # The rate counts from the first update: start-up is no work.
        self._first: tuple[int, float] | None = None
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm.tqdm(
                total=total,
                initial=initial,
                unit=f" {unit}s",
                dynamic_ncols=True,
                smoothing=0.05,
            )

    def update(self, count: int = 1, **notes: Any) -> None:
        """Adds finished pieces; the notes are shown behind the rate."""
        self.done += count
        notes |= self.notes
        now_s = time.monotonic()
        if self._first is None:
            self._first = self.done, now_s
            if self._bar is not None:
                self._bar.unpause()
        if self._bar is not None:
            self._bar.set_postfix(notes, refresh=False)
            self._bar.update(count)
            return
        if now_s - self._line_s >= _LINE_EVERY_S or self.done == self._total:
            self._line_s = now_s
            done_first, first_s = self._first
            text = f"{self.done}/{self._total} {self._unit}s"
            if self.done > done_first and now_s > first_s:
                rate = (self.done - done_first) / (now_s - first_s)
                left_s = (self._total - self.done) / rate
                left = tqdm.tqdm.format_interval(left_s)
                text += f", {rate:.2f}/s, {left} left"
            noted = "".join(f", {name} {notes[name]}" for name in notes)
            self.write(text + noted)

    def write(self, text: str) -> None:
        """Prints a line without breaking the bar."""
        tqdm.tqdm.write(printable(text), file=sys.stderr)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
