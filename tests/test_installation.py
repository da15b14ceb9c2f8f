"""The wheel of the source distribution, in an environment of its own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import sysconfig
import tarfile
import venv

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
_BUILD = (
    "import sys; from setuptools import build_meta; "
    "print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
)
COMMANDS = (
    "avmil-fetch-weights",
    "avmil-make-manifest",
    "avmil-download",
    "avmil-extract",
    "avmil-train",
    "avmil-evaluate",
    "avmil-localize",
    "avmil-demo",
)

pytestmark = pytest.mark.slow


def _build(kind: str, source: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    """Builds what a package index would get, with the packages at hand."""
    into.mkdir(exist_ok=True)
    built = subprocess.run(
        [sys.executable, "-c", _BUILD, kind, str(into)],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    )
    return into / built.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source distribution, of a copy: building leaves files behind."""
    folder = tmp_path_factory.mktemp("sdist")
    copy = folder / "copy"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("the source is no git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    return _build("build_sdist", copy, folder)


@pytest.fixture(scope="module")
def unpacked(sdist):
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent, filter="data")
    return sdist.parent / sdist.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def installed(unpacked):
    """Folder of the commands in an environment with the wheel.

    What avmil depends on comes from the environment of the tests.
    """
    folder = unpacked.parent
    wheel = _build("build_wheel", unpacked, folder / "wheels")
    venv.create(folder / "venv", with_pip=False)
    purelib = sysconfig.get_path("purelib")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = folder / "venv" / "lib" / version / "site-packages"
    # A path in a .pth file adds a folder, but not what its own .pth files name.
    (site / "dependencies.pth").write_text(f"{purelib}\n")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", folder / "venv"),
            *("install", "--quiet", "--no-index", "--no-deps", str(wheel)),
        ],
        check=True,
    )
    return folder / "venv" / "bin"


def _run(
    *command: str | os.PathLike, cwd: pathlib.Path
) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_source_distribution_holds_all_that_the_tests_need(unpacked):
    tracked = {"tests", "docs", "configs", "benchmarks", "constraints.txt"}
    assert tracked <= {path.name for path in unpacked.iterdir()}
    here = {p.relative_to(ROOT) for p in (ROOT / "tests").rglob("*.py")}
    assert here == {
        p.relative_to(unpacked) for p in (unpacked / "tests").rglob("*.py")
    }


def test_the_wheel_puts_only_named_packages_beside_others(installed):
    (site,) = (installed.parent / "lib").glob("python*/site-packages")
    names = {
        path.name.removesuffix(".py")
        for path in site.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    packages = {"avmil", "vggish", "fast_rcnn_features", "model"}
    scripts = {p.stem for p in ROOT.glob("*.py")} - {"setup"}
    assert names - {"pip"} == packages | scripts


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_starts_in_another_folder(installed, tmp_path, command):
    ended = _run(installed / command, "--help", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "--" in ended.stdout, ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_what_is_imported_is_what_was_installed(installed, tmp_path):
    code = (
        "import avmil, flags, model.systems; "
        "avmil.FeatureStore; avmil.load_run; print(avmil.__file__)"
    )
    ended = _run(installed / "python", "-c", code, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert str(installed.parent) in ended.stdout


@pytest.mark.parametrize("row", [*"abcdeg", "e-mean", "small/e-mean"])
def test_a_row_is_found_by_its_name(installed, tmp_path, row):
    ended = _run(
        *(installed / "avmil-train", f"--row={row}", "--steps=7"),
        *("--features_dir=none", "--run_dir=run"),
        cwd=tmp_path,
    )
    assert ended.returncode == 2
    assert "none without dataset_info.json" in ended.stderr


def test_an_unknown_row_is_named(installed, tmp_path):
    ended = _run(installed / "avmil-train", "--row=z", cwd=tmp_path)
    assert ended.returncode != 0
    assert "z" in ended.stderr
    assert "Traceback" not in ended.stderr
