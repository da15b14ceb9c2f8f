"""From a bag of proposals to class scores and scores of each proposal.

Keras 3 only, without TensorFlow, so that the layers run on every backend.
Shapes: `B` clips, `P` proposals of a bag (`M` regions or `T` segments), `D`
features, `C` classes.
"""
