"""Tests of the edge sources."""

from __future__ import annotations

import gzip
import pickle

import cv2
import numpy as np
import pytest

from fast_rcnn_features.edges import StructuredForest, gradient_edges, thin


def _smooth_noise(height, width, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height // 15, width // 15, 3))
    return cv2.resize(
        noise.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )


def _half_plane(angle_rad):
    """Bright where the direction from the center is within 90 degrees."""
    y, x = np.mgrid[-60:61, -60:61]
    bright = x * np.cos(angle_rad) + y * np.sin(angle_rad) > 0
    return np.repeat(np.uint8(200 * bright)[..., None], 3, axis=2)


def _exact_thin(magnitude, orientation):
    """Pixel by pixel with exact bilinear interpolation."""
    height, width = magnitude.shape
    thinned = magnitude.copy()
    for y, x in np.ndindex(height, width):
        cos, sin = np.cos(orientation[y, x]), np.sin(orientation[y, x])
        for distance in (-2, -1, 1, 2):
            v = min(max(y + distance * sin, 0), height - 1.001)
            u = min(max(x + distance * cos, 0), width - 1.001)
            top, left = int(v), int(u)
            v, u = v - top, u - left
            patch = magnitude[top : top + 2, left : left + 2]
            if magnitude[y, x] < [1 - v, v] @ patch @ [1 - u, u]:
                thinned[y, x] = 0
    return thinned


@pytest.fixture
def forest(shared_data):
    return StructuredForest(shared_data / "weights/structured_forest.yml.gz")


def test_gradient_of_a_step():
    """The edge lies on the pixels beside the step, and nowhere else."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = 90
    edges, orientation = gradient_edges(image)
    assert edges.shape == orientation.shape == (40, 60)
    assert edges.dtype == orientation.dtype == np.float32
    np.testing.assert_array_equal(edges[:, 29:31].max(axis=1), 1)
    assert not edges[:, :29].any()
    assert not edges[:, 31:].any()
    np.testing.assert_allclose(orientation[:, 29:31], 0, atol=1e-6)


def test_gradient_takes_the_strongest_channel():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:, 0] = 10
    image[20:, :, 2] = 200
    edges, orientation = gradient_edges(image)
    np.testing.assert_allclose(edges[10, 29:31].max(), 0.05, atol=1e-6)
    np.testing.assert_allclose(edges[19:21, 10].max(), 1, atol=1e-6)
    np.testing.assert_allclose(orientation[19:21, 10], np.pi / 2, atol=1e-6)


@pytest.mark.parametrize("angle_deg", [0, 30, 60, 90, 120, 150])
def test_gradient_orientation_is_across_the_edge(angle_deg):
    edges, orientation = gradient_edges(_half_plane(np.deg2rad(angle_deg)))
    assert orientation.min() >= 0
    assert orientation.max() < np.float32(np.pi)
    found = np.rad2deg(orientation[30:91, 30:91][edges[30:91, 30:91] > 0.5])
    # Modulo 180 degrees.
    deviation = (found - angle_deg + 90) % 180 - 90
    assert np.abs(np.median(deviation)) < 3


@pytest.mark.parametrize("angle_deg", [0, 45, 90, 135])
def test_forest_and_gradient_agree_on_orientation(forest, angle_deg):
    image = _half_plane(np.deg2rad(angle_deg))
    medians = []
    for source in (forest, gradient_edges):
        edges, orientation = source(image)
        inner = orientation[30:91, 30:91]
        doubled = 2 * inner[edges[30:91, 30:91] > 0.3]
        medians.append(np.exp(1j * doubled).mean())
    assert abs(np.angle(medians[0] / medians[1])) / 2 < np.deg2rad(10)


def test_flat_image_has_no_edges():
    edges, _ = gradient_edges(np.full((40, 60, 3), 77, np.uint8))
    assert not edges.any()


def test_thinning_parity_with_exact_interpolation():
    rng = np.random.default_rng(3)
    magnitude = cv2.GaussianBlur(rng.random((40, 50), np.float32), (0, 0), 2)
    orientation = rng.uniform(0, np.pi, (40, 50)).astype(np.float32)
    expected = _exact_thin(magnitude, orientation)
    found = thin(magnitude, orientation)
    # OpenCV interpolates at steps of 1/32 px, which may decide near-ties.
    assert np.mean(found != expected) < 0.01
    kept = found > 0
    np.testing.assert_array_equal(found[kept], magnitude[kept])


def test_thinning_parity_with_opencv(forest):
    image = _smooth_noise(120, 180).astype(np.float32) / 255
    magnitude = forest._detector.detectEdges(image)
    orientation = forest._detector.computeOrientation(magnitude)
    expected = forest._detector.edgesNms(magnitude, orientation)
    found = thin(magnitude, orientation)
    assert np.mean((found > 0) != (expected > 0)) < 0.005


def test_forest_reads_rgb_in_unit_range(forest):
    image = _smooth_noise(60, 90)
    edges, orientation = forest(image)
    detector = forest._detector
    magnitude = detector.detectEdges(np.float32(image) / np.float32(255))
    expected = detector.computeOrientation(magnitude)
    np.testing.assert_array_equal(orientation, expected)
    np.testing.assert_array_equal(edges, detector.edgesNms(magnitude, expected))


def test_forest_survives_pickling(forest):
    image = _smooth_noise(60, 90)
    copy = pickle.loads(pickle.dumps(forest))  # noqa: S301
    for found, expected in zip(copy(image), forest(image), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_missing_forest(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"forest_path.*no\.yml\.gz"):
        StructuredForest(tmp_path / "no.yml.gz")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a gzip file",
        gzip.compress(b"%YAML:1.0\n---\nother: 3\n", mtime=0),
        gzip.compress(b"%YAML:1.0\n---\noptions: 3\n", mtime=0),
        gzip.compress(b"%YAML:1.0\n---\noptions:\n    stride: 2\n", mtime=0),
    ],
)
def test_corrupt_forest(tmp_path, content):
    path = tmp_path / "bad.yml.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"forest_path.*bad\.yml\.gz"):
        StructuredForest(path)


def test_forest_with_a_tree_missing(tmp_path):
    storage = cv2.FileStorage(str(tmp_path / "bad.yml"), cv2.FILE_STORAGE_WRITE)
    storage.startWriteStruct("options", cv2.FileNode_MAP)
    for key in (
        "stride",
        "shrinkNumber",
        "patchSize",
        "patchInnerSize",
        "numberOfGradientOrientations",
        "selfsimilarityGridSize",
        "numberOfTrees",
        "numberOfTreesToEvaluate",
    ):
        storage.write(key, 4)
    storage.endWriteStruct()
    storage.release()
    with pytest.raises(ValueError, match=r"childs does not hold 4 trees"):
        StructuredForest(tmp_path / "bad.yml")


def test_truncated_forest(tmp_path, shared_data):
    content = (shared_data / "weights/structured_forest.yml.gz").read_bytes()
    path = tmp_path / "cut.yml.gz"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"forest_path.*cut\.yml\.gz"):
        StructuredForest(path)
