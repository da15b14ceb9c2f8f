"""Scores to thresholds, metrics, intervals and localization measures.

In: NumPy arrays of labels, scores, boxes and times. Out: numbers. Knows
neither networks nor how anything is shown.
"""
