"""Packaging of avmil; the tested versions are pinned in constraints.txt."""

import pathlib

import setuptools

setuptools.setup(
    name="avmil",
    version="0.1.0",
    description=(
        "Weakly supervised learning of unsynchronized audio-visual events: "
        "which event a video shows, where it is seen and when it is heard"
    ),
    long_description=pathlib.Path("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.13",
    packages=setuptools.find_packages(
        include=[
            name + suffix
            for name in ("avmil", "vggish", "fast_rcnn_features", "model")
            for suffix in ("", ".*")
        ]
    ),
    package_data={"avmil.report": ["templates/*"]},
    py_modules=[
        "flags",
        "fetch_weights",
        "make_manifest",
        "download_clips",
        "extract_features",
        "train",
        "evaluate",
        "localize",
        "demo",
    ],
    install_requires=[
        # tensorflow-io has working native operations up to TensorFlow 2.17.
        "tensorflow>=2.17,<2.18",
        "tensorflow-io>=0.37,<0.38",
        "keras>=3.5",
        "numpy>=1.26,<2",
        "protobuf>=4.22",
        # OpenCV 5 drops the Caffe importer that the tests compare with.
        "opencv-contrib-python-headless>=4.11,<5",
        "resampy>=0.4.3",
        "soundfile>=0.12",
        "absl-py>=2.1",
        "scikit-learn>=1.4",
        "scipy>=1.11",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "av>=17",
        "tqdm>=4.66",
        "yt-dlp>=2025.1",
        "requests>=2.31",
        "h5py>=3.10",
        "tensorboard>=2.17,<2.18",
        "setuptools<81",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.17,<2.18"],
        "test": [
            "pytest>=8",
            "ruff>=0.6",
            "pre-commit>=3.7",
            "sed_eval>=0.2.1",
            "sed_scores_eval>=0.0.4",
            "selenium>=4.20",
        ],
    },
    entry_points={
        "console_scripts": [
            "avmil-make-manifest=make_manifest:console_entry_point",
            "avmil-download=download_clips:console_entry_point",
            "avmil-extract=extract_features:console_entry_point",
            "avmil-train=train:console_entry_point",
            "avmil-evaluate=evaluate:console_entry_point",
            "avmil-localize=localize:console_entry_point",
            "avmil-fetch-weights=fetch_weights:console_entry_point",
        ],
    },
)
