"""Clips, labels, decoding, TFRecords and batches.

The room turns a manifest of videos into records of features and records into
batches; it knows nothing of networks.
"""
