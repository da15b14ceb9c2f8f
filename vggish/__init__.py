"""From a waveform to log-mel patches and embeddings of VGGish or others.

The room also makes the log-mel input of the CVSSP systems. It knows nothing of
videos or labels: waveforms come in as arrays.
"""
