"""What carries data between vggish/, fast_rcnn_features/ and model/.

From a manifest of videos (`clips`) to features (`features`), trained runs
(`runs`), measures (`evaluation`), tables and pages (`report`), and from any
video and a run to what it shows, where and when (`localization`).
"""
