"""Decoded pictures: their colors, and which way up they come."""

import av
import numpy as np
import pytest

from avmil.clips import media
from tests.media_files import write_clip


def test_colors_of_high_definition_video(tmp_path):
    """RGB (200, 40, 60) as BT.709 in 8 bits is Y 81, Cb 121, Cr 197."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        stream.codec_context.colorspace = 1  # BT.709
        frame = av.VideoFrame(64, 64, "yuv420p")
        for plane, value in zip(frame.planes, (81, 121, 197), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        output.mux([*stream.encode(frame), *stream.encode(None)])
    decoded = media.decode_clip(path).frames_rgb[0]
    np.testing.assert_allclose(decoded[32, 32], [200, 40, 60], atol=4)


def set_display_matrix(path, matrix):
    """Overwrites the matrix of the first track header (16.16, 2.30)."""
    content = path.read_bytes()
    # 'tkhd', version 0: type 4, flags 4, times and id 20, reserved 8, layer,
    # group, volume and reserved 2 each; then the matrix.
    start = content.index(b"tkhd") + 44
    scale = np.array([[1, 1, 2**14]] * 3) * 2**16
    values = (np.array(matrix) * scale).astype(">i4").tobytes()
    path.write_bytes(content[:start] + values + content[start + 36 :])


def display(image, matrix):
    """Applies ISO/IEC 14496-12: [p q 1] times [a b u; c d v; x y w]."""
    height, width = image.shape[:2]
    targets = {}
    for row in range(height):
        for column in range(width):
            x, y, _ = np.array([column, row, 1]) @ np.array(matrix)
            targets[x, y] = image[row, column]
    left = min(x for x, _ in targets)
    top = min(y for _, y in targets)
    columns = max(x for x, _ in targets) - left + 1
    rows = max(y for _, y in targets) - top + 1
    shown = np.zeros((rows, columns, 3), np.uint8)
    for (x, y), value in targets.items():
        shown[y - top, x - left] = value
    return shown


@pytest.mark.parametrize(
    "corner",
    [
        pytest.param([[1, 0], [0, 1]], id="as it is"),
        pytest.param([[0, 1], [-1, 0]], id="quarter turn clockwise"),
        pytest.param([[-1, 0], [0, -1]], id="upside down"),
        pytest.param([[0, -1], [1, 0]], id="quarter turn anticlockwise"),
        pytest.param([[-1, 0], [0, 1]], id="mirrored"),
        pytest.param([[1, 0], [0, -1]], id="mirrored upside down"),
        pytest.param([[0, 1], [1, 0]], id="transposed"),
        pytest.param([[0, -1], [-1, 0]], id="transposed upside down"),
    ],
)
def test_frames_come_upright(tmp_path, corner):
    matrix = np.eye(3, dtype=int)
    matrix[:2, :2] = corner
    image = np.full((32, 48, 3), 40, np.uint8)
    image[4:12, 4:28] = 220  # A mark at the top left, lying.
    path = write_clip(tmp_path / "a.mp4", [image] * 10)
    plain = media.decode_clip(path).frames_rgb[0]
    set_display_matrix(path, matrix)
    turned = media.decode_clip(path).frames_rgb[0]
    np.testing.assert_array_equal(turned, display(plain, matrix))


def test_phone_held_upright(tmp_path):
    """The matrix that phones write: what was left comes to the top right."""
    image = np.full((32, 48, 3), 40, np.uint8)
    image[:16, :24] = 220  # Top left.
    path = write_clip(tmp_path / "a.mp4", [image] * 10)
    set_display_matrix(path, [[0, 1, 0], [-1, 0, 0], [32, 0, 1]])
    frame = media.decode_clip(path).frames_rgb[0]
    assert frame.shape == (48, 32, 3)
    quarters = frame.reshape(2, 24, 2, 16, 3).mean(axis=(1, 3, 4))
    np.testing.assert_allclose(quarters, [[40, 220], [40, 40]], atol=5)
