"""Packaging of avmil; the tested versions are pinned in constraints.txt."""

import pathlib

import setuptools

_PACKAGES = ("avmil", "vggish", "fast_rcnn_features", "model")
# The entry scripts and the flags that they share.
_SCRIPTS = {
    "fetch-weights": "fetch_weights",
    "make-manifest": "make_manifest",
    "download": "download_clips",
    "extract": "extract_features",
    "import": "import_features",
    "export": "export_features",
    "train": "train",
    "evaluate": "evaluate",
    "localize": "localize",
    "export-model": "export_model",
    "demo": "demo",
}

setuptools.setup(
    name="avmil",
    version="0.2.0",
    description=(
        "Weakly supervised learning of unsynchronized audio-visual events: "
        "which event a video shows, where it is seen and when it is heard"
    ),
    long_description=pathlib.Path("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.13",
    packages=[
        *setuptools.find_packages(include=[f"{name}*" for name in _PACKAGES]),
        "avmil.configs",
    ],
    # The flagfiles lie where a reader of the source looks for them.
    package_dir={"avmil.configs": "configs"},
    package_data={
        "avmil.configs": ["*.flags", "small/*.flags"],
        "avmil.report": ["templates/*"],
    },
    py_modules=["flags", *_SCRIPTS.values()],
    install_requires=[
        # tensorflow-io has working native operations up to TensorFlow 2.17.
        "tensorflow>=2.17,<2.18",
        "tensorflow-io>=0.37,<0.38",
        # Earlier ones' safe mode lets saved models name any function of Keras.
        "keras>=3.12.4",
        "numpy>=1.26",
        # OpenCV 5 drops the importer that reads .caffemodel files.
        "opencv-contrib-python-headless>=4.11,<5",
        "resampy>=0.4.3",
        "soundfile>=0.12",
        "absl-py>=2.1",
        "scikit-learn>=1.4",
        "scipy>=1.15",
        "pandas>=2.1",
        "tabulate>=0.9",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "av>=17",
        "distributed>=2024.1",
        "etils[epath]>=1.7",
        "filelock>=3.12",
        "google-crc32c>=1.5",
        "h5py>=3.10",
        "imageio-ffmpeg>=0.5",
        "msgspec>=0.19",
        "pooch>=1.8",
        "psutil>=5.9",
        "tensorboard>=2.17,<2.18",
        "tqdm>=4.66",
        "xxhash>=3.4",
        "yt-dlp>=2025.1",
        "setuptools<81",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.17,<2.18"],
        # Beside TensorFlow 2.17 the newest one for NumPy 1 and ml-dtypes 0.4.
        "jax": ["jax>=0.4.30"],
        # Labels of VGGSounder; it takes no older Python.
        "benchmarks": ["vggsounder>=0.1.6; python_version >= '3.11'"],
        # onnx 1.19 and later need a newer ml-dtypes than TensorFlow 2.17 has.
        "onnx": ["onnx>=1.16,<1.19", "tf2onnx>=1.16"],
        "remote": ["s3fs>=2024.3", "gcsfs>=2024.3"],
        # Dask's dashboard, and its workers as SLURM jobs.
        "cluster": ["bokeh>=3.1", "dask-jobqueue>=0.9"],
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "jax>=0.4.30",
            "ruff>=0.6",
            "pre-commit>=3.7",
            "sed_eval>=0.2.1",
            "webvtt-py>=0.5",
            "praatio>=6.2",
            "pycocotools>=2.0.8",
            "onnx>=1.16,<1.19",
            "tf2onnx>=1.16",
            "onnxruntime>=1.19",
            "selenium>=4.20",
            "s3fs>=2024.3",
            "moto[s3]>=5.1",
            "flask-cors>=4",
        ],
    },
    entry_points={
        "console_scripts": [
            f"avmil-{command}={module}:main"
            for command, module in _SCRIPTS.items()
        ],
    },
)
