"""From a waveform to log-mel patches and embeddings of VGGish or YAMNet.

The room also makes the log-mel input of the CVSSP systems. It knows nothing of
files, videos or labels: waveforms come in as arrays.
"""
