"""Entry scripts: how they end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.command_line import ROOT

_SCRIPT = """
import signal, sys, os
from avmil.common import command_line
from avmil.common.errors import ConfigError
@command_line.script()
def main():
    {body}
main()
"""


def _run(body: str, *flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(body=body), *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("return None", 0, ""),
        ("return 1", 1, ""),
        ("raise ConfigError('Expected --a.')", 2, "error: Expected --a.\n"),
        ("raise OSError('a\\x1b[2J\\n')", 2, "error: a\\x1b[2J\n"),
        ("open('no/such/file')", 2, "error: [Errno 2] No such file"),
        ("os.kill(os.getpid(), signal.SIGTERM)", 130, "same command goes on"),
        ("os.kill(os.getpid(), signal.SIGINT)", 130, "same command goes on"),
    ],
)
def test_status_and_message(body, status, message):
    ended = _run(body)
    assert ended.returncode == status, ended.stderr
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_interrupt_within_an_import_is_one_line(tmp_path):
    """Where the import would take it for a missing package, say."""
    (tmp_path / "module.py").write_text(
        "import os, signal\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "except BaseException as error:\n"
        "    raise ImportError from error\n"
    )
    ended = _run(f"sys.path.append({str(tmp_path)!r}); import module")
    assert ended.returncode == 130
    assert ended.stderr == "\nInterrupted. The same command goes on.\n"


@pytest.mark.parametrize(("error", "told"), [("OSError", 0), ("KeyError", 1)])
def test_threads_tell_only_what_is_a_fault(error, told):
    ended = _run(
        "import threading\n"
        "    def fail():\n"
        f"        raise {error}\n"
        "    thread = threading.Thread(target=fail)\n"
        "    thread.start()\n"
        "    thread.join()"
    )
    assert ended.stderr.count("Traceback") == told


def test_a_fault_of_the_code_shows_its_traceback():
    ended = _run("1 / 0")
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr


@pytest.mark.parametrize(
    ("argument", "status"), [("stray", 2), ("--no_such=1", 2), ("--help", 0)]
)
def test_mistakes_in_the_command_and_help(argument, status):
    ended = _run("print('ran')", argument)
    assert ended.returncode == status
    assert "ran\n" not in ended.stdout
    assert (argument.lstrip("-").split("=")[0] in ended.stderr) == bool(status)
    assert "Traceback" not in ended.stderr


def test_help_may_be_read_in_part():
    """As by `head`."""
    with subprocess.Popen(
        [sys.executable, ROOT / "train.py", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_notes_of_xla_are_left_out_and_all_else_is_told():
    ended = _run(
        "command_line.use_backend('jax')\n"
        "    os.write(2, b'I0000 00:00:1.2 3 service.cc:146] XLA\\n')\n"
        "    os.write(2, b'E0000 00:00:1.2 3 service.cc:146] lost\\n')\n"
        "    print(os.environ['KERAS_BACKEND'], file=sys.stderr)\n"
        "    os.abort()"
    )
    assert ended.returncode == -6
    assert "XLA" not in ended.stderr
    assert "] lost" in ended.stderr
    assert "jax\n" in ended.stderr


def test_an_interrupt_waits_for_its_point():
    ended = _run(
        "with command_line.postponed_interrupt() as interrupted:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        print(interrupted())\n"
        "    print('done')"
    )
    assert ended.stdout == "True\ndone\n"
