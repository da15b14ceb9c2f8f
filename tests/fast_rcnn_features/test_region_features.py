"""Tests of the features of a frame's boxes."""

from __future__ import annotations

import av
import numpy as np
import pytest

from fast_rcnn_features import networks
from fast_rcnn_features.edge_boxes import EdgeBoxes
from fast_rcnn_features.features import RegionFeatures
from fast_rcnn_features.preprocessing import prepare_image
from fast_rcnn_features.roi_pooling import roi_max_pool


def _frame(height, width):
    rng = np.random.default_rng(height * width)
    return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module", params=networks.NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def features(name):
    return RegionFeatures(name, short_side_px=96, long_side_px=160, seed=5)


def test_features_are_the_pooled_feature_map(name, features):
    frame = _frame(48, 60)
    boxes = np.array([[0, 0, 59, 47], [10, 20, 30, 40]], np.float32)
    (found,) = features([frame], [boxes])
    assert found.shape == (2, 9216)
    assert found.dtype == np.float32
    image, scale = prepare_image(frame, name, 96, 160)
    assert scale == 2
    feature_map = networks.build(name, seed=5)(image[None])[0]
    pooled = roi_max_pool(feature_map.numpy(), 2 * boxes, 1 / 16, 6)
    # Channels first: channel 7, row 2, column 3.
    assert found[1, 7 * 36 + 2 * 6 + 3] == pytest.approx(pooled[1, 2, 3, 7])
    np.testing.assert_allclose(
        found.reshape(2, 256, 6, 6),
        np.moveaxis(pooled, -1, 1),
        rtol=1e-4,
        atol=1e-4 * found.max(),
    )


def test_frames_are_described_alike_alone_and_together(features):
    frames = [_frame(48, 60) // divisor for divisor in (1, 2, 3)]
    boxes = [
        np.array([[0, 0, 30, 30], [20, 10, 59, 47]], np.float32)[:count]
        for count in (2, 0, 1)
    ]
    together = features(frames, boxes)
    for frame, frame_boxes, expected in zip(
        frames, boxes, together, strict=True
    ):
        (found,) = features([frame], [frame_boxes])
        assert found.shape == (len(frame_boxes), 9216)
        np.testing.assert_allclose(
            found, expected, rtol=1e-4, atol=1e-4 * together[0].max()
        )
    with pytest.raises(ValueError, match="same shape"):
        features([frames[0], _frame(60, 48)], [boxes[0], boxes[2]])


def test_no_boxes(features):
    """Even for a frame too narrow to be resized."""
    for frame in (_frame(48, 60), _frame(1, 5000)):
        (found,) = features([frame], [np.zeros((0, 4), np.float32)])
        assert found.shape == (0, 9216)
        assert found.dtype == np.float32


def test_box_order_is_kept(features):
    frame = _frame(48, 60)
    boxes = np.array([[0, 0, 30, 30], [20, 10, 59, 47]], np.float32)
    backward, forward = features([frame] * 2, [boxes[::-1], boxes])
    np.testing.assert_allclose(backward, forward[::-1], rtol=1e-5)


def test_wrong_arguments(features, tmp_path):
    with pytest.raises(ValueError, match=r"'resnet'"):
        RegionFeatures("resnet")
    with pytest.raises(FileNotFoundError, match=r"no\.caffemodel"):
        RegionFeatures("caffenet", weights=tmp_path / "no.caffemodel")
    with pytest.raises(ValueError, match=r"boxes of shape.*\[2, 5\]"):
        features([_frame(48, 60)], [np.zeros((2, 5), np.float32)])
    with pytest.raises(ValueError, match=r"uint8.*float64"):
        features([_frame(48, 60) / 255], [np.zeros((2, 4), np.float32)])


def test_real_frame(shared_data):
    """Published weights respond to a picture sparsely, and to where it is."""
    with av.open(shared_data / "clips/vas_dog_video_02677.mp4") as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    boxes, _ = EdgeBoxes()(frame)
    weights = shared_data / "weights/alexnet_conv.npz"
    (found,) = RegionFeatures("alexnet", weights)([frame], [boxes])
    assert found.shape == (10, 9216)
    assert np.isfinite(found).all()
    assert found.min() == 0
    assert 0.3 < np.mean(found == 0) < 0.95
    assert found.max() > 5
    assert np.corrcoef(found)[0, 1:].min() < 0.9
