"""Scores to thresholds, metrics, tables, figures and pages.

The room reads what a system says of each clip and its proposals and knows
nothing of how it came about: no TensorFlow, no Keras.
"""
