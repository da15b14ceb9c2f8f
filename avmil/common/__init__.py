"""What every room uses: command line, errors, files, progress.

It knows nothing of clips, features or runs.
"""
