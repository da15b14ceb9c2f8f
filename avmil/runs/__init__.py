"""Trains, keeps, loads, scores and fuses runs.

In: features and a configuration. Out: a run directory with checkpoints,
scores, thresholds and tables. Knows nothing of videos.
"""
