"""Manifests, published lists, decoding, download and drawn clips.

In: CSV files, lists and media files. Out: `ManifestEntry`s, and a `Clip` of
frames and a waveform. Knows nothing of features.
"""
