"""Scores to thresholds, metrics and the paper's tables.

The room reads what a system says of each clip and knows nothing of how it came
about: NumPy and scikit-learn only.
"""
