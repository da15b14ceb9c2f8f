"""Parameters of VGGish's input."""

from __future__ import annotations

import dataclasses

import pytest

from vggish.params import VggishParams


def test_derived_values_of_the_published_network():
    params = VggishParams()
    assert params.stft_window_samples == 400
    assert params.stft_hop_samples == 160
    assert params.fft_length == 512
    assert params.patch_frames == 96
    assert params.patch_hop_frames == 48
    assert params.patch_hop_samples == 7680
    assert params.min_waveform_samples == 15_600  # 95 * 160 + 400


def test_a_window_that_is_a_power_of_two_is_its_own_fft_length():
    assert VggishParams(stft_window_s=512 / 16_000).fft_length == 512


@pytest.mark.parametrize(
    ("num_samples", "num_segments", "padded_samples"),
    [
        (1, 1, 15_600),
        (15_600, 1, 15_600),
        (15_601, 2, 23_280),
        (23_280, 2, 23_280),
        (160_000, 20, 161_520),
    ],
)
def test_padding_to_the_next_whole_hop(
    num_samples, num_segments, padded_samples
):
    params = VggishParams()
    assert params.num_segments(num_samples) == num_segments
    assert params.padded_samples(num_samples) == padded_samples


def test_a_larger_hop_leaves_a_gap_but_covers_the_end():
    params = VggishParams(patch_hop_s=2.0)
    assert params.num_segments(160_000) == 6  # 1 + ceil(144400 / 32000)


def test_params_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        VggishParams().log_offset = 0.001


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(VggishParams)]
)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_values_that_are_not_positive_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Expected {name} above 0, received"):
        VggishParams(**{name: value})


@pytest.mark.parametrize(
    "bands", [{"mel_max_hz": 8000.1}, {"mel_min_hz": 7500}]
)
def test_bands_stay_in_order_and_below_nyquist(bands):
    with pytest.raises(ValueError, match="mel_min_hz < mel_max_hz <="):
        VggishParams(**bands)


@pytest.mark.parametrize("name", ["patch_window_s", "patch_hop_s"])
@pytest.mark.parametrize("duration_s", [0.485, 0.004, 1e-12])
def test_patches_are_whole_numbers_of_stft_hops(name, duration_s):
    with pytest.raises(ValueError, match=f"Expected {name} to be a whole"):
        VggishParams(**{name: duration_s})
