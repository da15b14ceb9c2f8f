"""Clips to features and features to batches.

In: manifest entries, and the networks of vggish and fast_rcnn_features. Out:
a features directory, a `FeatureStore` and padded batches. Knows nothing of
what is trained on them.
"""
