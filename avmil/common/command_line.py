"""What every entry script shares: its start, its end and its errors."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import logging
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import (
    Annotated,
    Any,
    Literal,
    get_args,
    get_origin,
    get_type_hints,
)

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
# Their errors say what an object store refused.
_STORE_PACKAGES = ("aiohttp", "botocore", "gcsfs", "google")
# XLA writes these whatever the log level.
_XLA_NOTES = "^(I[0-9]{4} |WARNING: All log messages before absl::Initialize)"
_USAGE_STATUS = 2
_INTERRUPTED_STATUS = 130


def script(
    rows: Sequence[str] = (), resumes: bool = True
) -> Callable[[Callable[..., int | None]], Callable[[], None]]:
    """Makes an entry script of the function that does its work.

    The script has the flags of the configurations that the function takes;
    arguments that are no flags become its `*arguments`, if it has any. The
    function returns an exit status or None; it imports what takes long, so
    that --help is quick. The process ends with this status, 2 for a mistake in
    flags or files, and 130 where it was interrupted.

    Args:
        rows: Rows of Table 1 whose flagfiles --row names.
        resumes: Whether the script goes on where it was interrupted.
    """

    def decorate(main: Callable[..., int | None]) -> Callable[[], None]:
        return functools.wraps(main)(
            functools.partial(_run, main, rows, resumes)
        )

    return decorate


def _run(
    main: Callable[..., int | None], rows: Sequence[str], resumes: bool
) -> None:
    parameters = inspect.signature(main, eval_str=True).parameters.values()
    configs = [p.annotation for p in parameters if p.kind != p.VAR_POSITIONAL]
    positional = len(parameters) > len(configs)
    # Before they are imported: most of their notes are not for users.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("jax", "aiobotocore", "botocore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if rows:
        _define_row(*rows)
    _define_flags(*configs)

    again = "goes on" if resumes else "starts again"
    note = f"\nInterrupted. The same command {again}."
    handle = functools.partial(_interrupt, note)
    threading.excepthook = _report_thread
    # A scheduler's SIGTERM ends a run as tidily as a user's interrupt.
    signal.signal(signal.SIGTERM, handle)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handle)
    app.run(
        lambda argv: _end(_run_main(main, configs, argv[1:], positional, note)),
        flags_parser=_parse,
    )


def configs_dir() -> pathlib.Path:
    """Folder of the flagfiles, of an installed avmil or of a checkout."""
    root = pathlib.Path(flags.__file__).resolve().parent
    installed = root / "avmil" / "configs"
    return installed if installed.is_dir() else root / "configs"


def use_backend(backend: str) -> None:
    """Makes Keras, which must not be imported yet, compute with a backend.

    What its libraries write to stderr goes through a process of its own, which
    leaves out XLA's notes and outlives a crash; Python's stderr stays as it is.
    """
    os.environ["KERAS_BACKEND"] = backend
    # About semaphores of ended workers, and bags of a single proposal.
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


def _define_flags(*configs: type) -> None:
    """Defines a flag for each field of the configurations."""
    for config in configs:
        # Each "name: help" of the docstring, with its indented further lines.
        attributes = re.findall(
            r"^    (\w+): (.*(?:\n {8}.*)*)", inspect.getdoc(config), re.M
        )
        help_texts = {name: " ".join(text.split()) for name, text in attributes}
        types = get_type_hints(config, include_extras=True)
        for field in dataclasses.fields(config):
            name = field.name
            _define_flag(name, types[name], field.default, help_texts[name])


def _define_flag(name: str, kind: Any, default: Any, help_text: str) -> None:
    # --help shows the flags of the entry script.
    options = {"module_name": sys.argv[0]}
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        absl_flags.DEFINE_enum(name, default, choices, help_text, **options)
        return
    if kind == flags.Required:
        absl_flags.DEFINE_string(
            name, None, help_text, required=True, **options
        )
        absl_flags.register_validator(name, bool, *kind.__metadata__)
        return
    if get_origin(kind) is Annotated:
        kind, bounds = get_args(kind)
        options |= bounds._asdict()
    define = {
        str: absl_flags.DEFINE_string,
        int: absl_flags.DEFINE_integer,
        float: absl_flags.DEFINE_float,
        bool: absl_flags.DEFINE_boolean,
    }
    define[kind](name, default, help_text, **options)


class _RowFlag(absl_flags.Flag):
    """Sets what the flagfile of a row of Table 1 lists, where it stands."""

    def parse(self, argument: str) -> None:
        """Takes the row's flags; those that come later override them."""
        super().parse(argument)
        (path,) = configs_dir().glob(f"{self.value}_*.flags")
        for given in absl_flags.FLAGS.read_flags_from_files(
            [f"--flagfile={path}"]
        ):
            name, _, value = given.removeprefix("--").partition("=")
            absl_flags.FLAGS[name].parse(value)
            absl_flags.FLAGS[name].using_default_value = False


def _define_row(*rows: str) -> None:
    """Defines --row, which stands for the flagfile of one of the rows."""
    help_text = (
        f"<{'|'.join(rows)}>: Row of the paper's Table 1, whose flagfile in "
        "configs/ is taken; flags behind it override the file's."
    )
    parser = absl_flags.EnumParser(rows)
    row = _RowFlag(parser, None, "row", None, help_text)
    absl_flags.DEFINE_flag(row, module_name=sys.argv[0])


def _read_flags(config: type) -> Any:
    """Makes a configuration of the parsed flags."""
    names = [field.name for field in dataclasses.fields(config)]
    return config(**{name: absl_flags.FLAGS[name].value for name in names})


def _parse(argv: Sequence[str]) -> list[str]:
    """Parses the flags; ends after --help and at a mistake."""
    try:
        return absl_flags.FLAGS(argv)
    except absl_flags.Error as error:
        print(f"error: {error}\n--help lists the flags.", file=sys.stderr)
        _end(_USAGE_STATUS)
    except SystemExit:  # Only --help and its like end here, with 1.
        _end(0)
    except BrokenPipeError:  # Whoever reads the help has read enough.
        os._exit(0)


def _run_main(
    main: Callable[..., int | None],
    configs: Sequence[type],
    arguments: Sequence[str],
    positional: bool,
    interrupt_note: str,
) -> int:
    try:
        if arguments and not positional:
            raise ConfigError(f"Expected flags only, received {arguments}.")
        return main(*map(_read_flags, configs), *arguments) or 0
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
    """Leaves out errors that TensorBoard's writer raises elsewhere too."""
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
