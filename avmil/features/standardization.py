"""Mean and standard deviation of each mel band of the CVSSP systems' input."""

from __future__ import annotations

from collections.abc import Callable

from sklearn.preprocessing import StandardScaler

from avmil.common.errors import FeaturesError
from avmil.features.store import FeatureStore


def fit_bins(
    store: FeatureStore, on_clips: Callable[[int], None] = lambda count: None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fits means and standard deviations of the 64 bands on a split's frames.

    As in CVSSP's code the frames that pad short clips count too, and a band
    that never changes is divided by 1. `on_clips` is called with the number of
    clips that were read. A FeaturesError if no clip has sound.
    """
    scaler = StandardScaler()
    for index in range(len(store)):
        log_mel = store.read(index, ("cvssp_log_mel",))["cvssp_log_mel"]
        if len(log_mel):
            scaler.partial_fit(log_mel)  # [240, 64]
        on_clips(1)
    if not hasattr(scaler, "mean_"):
        raise FeaturesError(
            "Expected clips with sound to standardize, received none: were "
            "they imported, or extracted with --modalities=visual?"
        )
    return tuple(scaler.mean_.tolist()), tuple(scaler.scale_.tolist())
