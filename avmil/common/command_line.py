"""What every entry script shares: its start, its end and its errors."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from absl import app
from absl import flags as absl_flags

import flags
from avmil.common.errors import AvmilError, ConfigError
from avmil.common.progress import printable

# TensorFlow's errors that the user can mend: files, disks and memory.
_TENSORFLOW_ERRORS = (
    "NotFoundError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnavailableError",
)
# Whose errors say what an object store refused.
_STORE_PACKAGES = ("aiohttp", "botocore", "gcsfs", "google")
# What XLA writes whatever level of notes it is asked for.
_XLA_NOTES = "^(I[0-9]{4} |WARNING: All log messages before absl::Initialize)"
_USAGE_STATUS = 2
_INTERRUPTED_STATUS = 130


def run(
    main: Callable[..., int | None],
    *configs: type,
    positional: bool = False,
    resumes: bool = True,
) -> None:
    """Defines the flags, parses the command line and runs `main`.

    The process ends with main's status, 2 for a mistake in flags or files,
    and 130 where it was interrupted.

    Args:
        main: The script's work; returns an exit status or None. It imports
            what takes long, so that --help is quick.
        *configs: Configurations of `flags` whose flags the script takes.
        positional: Whether `main` takes arguments that are not flags.
        resumes: Whether the script goes on where it was interrupted.
    """
    # Before they are imported: most of their notes are not for users.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("jax", "aiobotocore", "botocore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    flags.define(*configs)
    again = "goes on" if resumes else "starts again"
    note = f"\nInterrupted. The same command {again}."
    handle = functools.partial(_interrupt, note)
    threading.excepthook = _report_thread
    # A scheduler's SIGTERM ends a run as tidily as a user's interrupt.
    signal.signal(signal.SIGTERM, handle)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handle)
    app.run(
        lambda argv: _end(_run_main(main, argv[1:], positional, note)),
        flags_parser=_parse,
    )


def use_backend(backend: str) -> None:
    """Makes Keras, which must not be imported yet, compute with a backend.

    What its libraries write to stderr goes through a process of its own, which
    leaves out XLA's notes and outlives a crash; Python's stderr stays as it is.
    """
    os.environ["KERAS_BACKEND"] = backend
    # Of semaphores that workers leave behind when they are ended, and of
    # bags of a single proposal.
    ignored = ("resource_tracker", "You are using a softmax over axis")
    for text in ignored:
        warnings.filterwarnings("ignore", text)
    for_workers = ",".join(f"ignore:{text}" for text in ignored)
    os.environ.setdefault("PYTHONWARNINGS", for_workers)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if not (grep := shutil.which("grep")):
        return
    stderr = os.dup(2)
    with subprocess.Popen(
        [grep, "-a", "--line-buffered", "-vE", _XLA_NOTES],
        stdin=subprocess.PIPE,
        stdout=stderr,
        start_new_session=True,  # A terminal's interrupt does not end it.
    ).stdin as notes:
        os.dup2(notes.fileno(), 2)
    encoding = sys.stderr.encoding
    sys.stderr = open(stderr, "w", 1, encoding)  # noqa: SIM115


@contextlib.contextmanager
def postponed_interrupt() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether an interrupt is waiting."""
    waiting: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [
        signal.signal(number, lambda received, _: waiting.append(received))
        for number in numbers
    ]
    try:
        yield lambda: bool(waiting)
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def _interrupt(note: str, number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt, but ends the process within an import.

    There native code would abort, or take it for a package's error.
    """
    for caller, _ in traceback.walk_stack(frame):
        if "importlib._bootstrap" in caller.f_code.co_filename:
            print(note, file=sys.stderr)
            _end(_INTERRUPTED_STATUS)
    signal.default_int_handler(number, frame)


def _parse(argv: Sequence[str]) -> list[str]:
    """Parses the flags; ends after --help and at a mistake."""
    try:
        return absl_flags.FLAGS(argv)
    except absl_flags.Error as error:
        print(f"error: {error}\n--help lists the flags.", file=sys.stderr)
        _end(_USAGE_STATUS)
    except SystemExit:  # Only --help and its like end here, with 1.
        _end(0)


def _run_main(
    main: Callable[..., int | None],
    arguments: Sequence[str],
    positional: bool,
    interrupt_note: str,
) -> int:
    try:
        if arguments and not positional:
            raise ConfigError(f"Expected flags only, received {arguments}.")
        return main(*arguments) or 0
    except KeyboardInterrupt:
        print(interrupt_note, file=sys.stderr)
        return _INTERRUPTED_STATUS
    except Exception as error:
        if not _can_be_mended(error):
            raise
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return _USAGE_STATUS


def _can_be_mended(error: BaseException | None) -> bool:
    """Whether its message is all that the user needs to know of an error."""
    return (
        isinstance(error, (AvmilError, OSError))
        or type(error).__name__ in _TENSORFLOW_ERRORS
        or type(error).__module__.split(".")[0] in _STORE_PACKAGES
    )


def _report_thread(ended: threading.ExceptHookArgs) -> None:
    """Leaves out what TensorBoard's writer raises again where it is waited."""
    if not _can_be_mended(ended.exc_value):
        threading.__excepthook__(ended)


def _end(status: int) -> None:
    """Ends the process without the interpreter's shut-down.

    All work is done by then, and the shut-down can crash: threads of tf.data
    may still be calling Python, and tensorflow-io aborts in it after it read
    weights from s3://.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
