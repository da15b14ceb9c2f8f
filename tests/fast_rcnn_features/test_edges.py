"""Tests of the edge sources."""

from __future__ import annotations

import gzip
import re

import cv2
import numpy as np
import pytest

from fast_rcnn_features.edges import StructuredForest, gradient_edges, thin


def _smooth_noise(height, width):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height // 15, width // 15, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


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


@pytest.fixture(scope="module")
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


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 120])
def test_gradient_orientation_is_across_the_edge(angle_deg):
    edges, orientation = gradient_edges(_half_plane(np.deg2rad(angle_deg)))
    assert orientation.min() >= 0
    assert orientation.max() < np.float32(np.pi)
    found = np.rad2deg(orientation[30:91, 30:91][edges[30:91, 30:91] > 0.5])
    # Modulo 180 degrees.
    deviation = (found - angle_deg + 90) % 180 - 90
    assert np.abs(np.median(deviation)) < 3


@pytest.mark.parametrize("angle_deg", [0, 45])
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
    """And the forest reads RGB in [0, 1]."""
    image = _smooth_noise(120, 180)
    expected, orientation = forest(image)
    magnitude = forest._detector.detectEdges(
        np.float32(image) / np.float32(255)
    )
    found = thin(magnitude, orientation)
    assert np.mean((found > 0) != (expected > 0)) < 0.005


_SIZES = """
    stride: 4
    shrinkNumber: 4
    patchSize: 4
    patchInnerSize: 4
    numberOfGradientOrientations: 4
    selfsimilarityGridSize: 4
    numberOfTrees: 4
    numberOfTreesToEvaluate: 4
"""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", ""),
        ("%YAML:1.0\n---\nother: 3\n", "no entry 'options'"),
        ("%YAML:1.0\n---\noptions: 3\n", "no entry 'options'"),
        ("%YAML:1.0\n---\noptions:\n    stride: 2\n", "shrinkNumber is not"),
        (f"%YAML:1.0\n---\noptions:{_SIZES}", "childs does not hold 4 trees"),
    ],
)
def test_corrupt_forest(tmp_path, content, reason):
    path = tmp_path / "bad.yml.gz"
    path.write_bytes(gzip.compress(content.encode(), mtime=0))
    with pytest.raises(
        ValueError, match=rf"forest_path.*bad\.yml\.gz.*{reason}"
    ):
        StructuredForest(path)


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("childs", 999_999_999),
        ("childs", 1),  # Endless: the root would be its own child.
        ("featureIds", 7228),
        ("edgeBoundaries", -99_999),
        ("edgeBoundaries", 999_999_999),
        ("edgeBins", 256),
        ("selfsimilarityGridSize", 5000),
    ],
)
def test_forest_with_a_number_out_of_range(tmp_path, shared_data, key, number):
    """OpenCV would read memory that is not the forest's, or never end."""
    path = shared_data / "weights/structured_forest.yml.gz"
    content = gzip.decompress(path.read_bytes()).decode()
    start = content.index(f"{key}:")
    rest = re.sub(r"\d+", str(number), content[start:], count=1)
    bad = tmp_path / "bad.yml"
    bad.write_text(content[:start] + rest)
    with pytest.raises(ValueError, match=rf"bad\.yml.*{key}"):
        StructuredForest(bad)


@pytest.mark.parametrize("size", [0, 20, 1_000_000])
def test_truncated_forest(tmp_path, shared_data, size):
    content = (shared_data / "weights/structured_forest.yml.gz").read_bytes()
    path = tmp_path / "cut.yml.gz"
    path.write_bytes(content[:size])
    with pytest.raises(ValueError, match=r"forest_path.*cut\.yml\.gz"):
        StructuredForest(path)
