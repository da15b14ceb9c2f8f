"""Constants of TensorFlow Lite models, dequantized by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.vggish.yamnet_files import make_tflite
from vggish.tflite import read_constants


def test_floats_are_read_as_they_are():
    values = np.array([[1.5, -2.0, 0.25]], np.float32)
    constants = read_constants(make_tflite([("a", values, None)]))
    assert list(constants) == ["a"]
    assert constants["a"].dtype == np.float32
    np.testing.assert_array_equal(constants["a"], values)


def test_one_scale_for_a_tensor():
    stored = np.array([[-128, 0, 2], [4, 6, 127]], np.int8)
    content = make_tflite([("a", stored, ([0.5], [2], 0))])
    np.testing.assert_array_equal(
        read_constants(content)["a"], [[-65, -1, 0], [1, 2, 62.5]]
    )


def test_a_scale_for_each_index_of_an_axis():
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.int8)
    content = make_tflite([("a", stored, ([1.0, 10.0, 0.5], [0, 1, 2], 1))])
    np.testing.assert_array_equal(
        read_constants(content)["a"], [[1, 10, 0.5], [4, 40, 2]]
    )


def test_scales_of_another_number_are_refused():
    stored = np.ones((2, 3), np.int8)
    content = make_tflite([("a", stored, ([1.0, 2.0], [0, 0], 1))])
    with pytest.raises(ValueError, match="damaged"):
        read_constants(content)


def test_a_cut_model_is_refused():
    values = np.ones((40, 40), np.float32)
    content = make_tflite([("a", values, None), ("b", values, None)])
    for length in range(0, len(content), 97):
        with pytest.raises(ValueError, match="damaged"):
            read_constants(content[:length])


def test_another_file_is_refused():
    with pytest.raises(ValueError, match="no TensorFlow Lite model"):
        read_constants(b"<html>Not found</html>" * 9)
