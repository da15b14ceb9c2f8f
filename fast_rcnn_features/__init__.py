"""Visual proposals and their features: frame -> edge boxes -> RoI features.

A frame's proposals are its best edge boxes (`edge_boxes`). The frame is resized
and normalized as Fast R-CNN does (`preprocessing`), goes through the five
convolution layers of a network (`networks`, `weights`), and the feature map is
max-pooled inside every box (`roi_pooling`); `features` ties these together.
"""
