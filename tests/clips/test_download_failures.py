"""Which reason an error means."""

from __future__ import annotations

import io

import pytest
from yt_dlp import utils
from yt_dlp.networking import Response
from yt_dlp.networking.exceptions import HTTPError, TransportError

from avmil.clips.download_failures import DownloadError, Reason, explain
from avmil.common.errors import MediaError


def raised_by_yt_dlp(error):
    """The form in which `extract_info` raises an extractor's error."""
    return utils.DownloadError(f"ERROR: {error}", (type(error), error, None))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Video unavailable", Reason.REMOVED),
        (
            "Video unavailable. This video has been removed by the uploader",
            Reason.REMOVED,
        ),
        (
            "This video is no longer available because the YouTube account "
            "associated with this video has been terminated.",
            Reason.REMOVED,
        ),
        ("This video isn't available anymore", Reason.REMOVED),
        ("This video is not available", Reason.REMOVED),
        (
            "Private video. Sign in if you've been granted access to this "
            "video",
            Reason.PRIVATE,
        ),
        (
            "Join this channel to get access to members-only content",
            Reason.PRIVATE,
        ),
        (
            "Video unavailable. The uploader has not made this video "
            "available in your country",
            Reason.BLOCKED,
        ),
        (
            "Video unavailable. This video contains content from X, who has "
            "blocked it in your country on copyright grounds",
            Reason.BLOCKED,
        ),
        (
            "Sign in to confirm your age. This video may be inappropriate "
            "for some users.",
            Reason.AGE_RESTRICTED,
        ),
        ("Sign in to confirm you're not a bot", Reason.REFUSED),
        (
            "Video unavailable. This content isn't available, try again "
            "later. The current session has been rate-limited by YouTube",
            Reason.REFUSED,
        ),
        ("Requested format is not available", Reason.NO_VIDEO),
        ("Something that nobody has seen before", Reason.OTHER),
    ],
)
def test_messages_of_youtube(message, reason):
    error = utils.ExtractorError(message, video_id="aaaaaaaaaaa", expected=True)
    found = explain(raised_by_yt_dlp(error))
    assert found.reason is reason
    assert message in found.message
    assert "\n" not in found.message


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.PRIVATE),
        (403, Reason.REFUSED),
        (404, Reason.REMOVED),
        (410, Reason.REMOVED),
        (418, Reason.OTHER),
        (429, Reason.REFUSED),
        (451, Reason.BLOCKED),
        (500, Reason.NETWORK),
        (503, Reason.NETWORK),
    ],
)
def test_status_of_pages_and_of_media(status, reason):
    response = Response(
        io.BytesIO(), "http://x", {"Retry-After": "7"}, status=status
    )
    media_error = HTTPError(response)
    page_error = utils.ExtractorError("Unable to download", cause=media_error)
    for error in (media_error, raised_by_yt_dlp(page_error)):
        found = explain(error)
        assert found.reason is reason
        assert found.retry_after_s == 7


def test_other_errors():
    timeout = utils.ExtractorError("Unable", cause=TransportError("timed out"))
    assert explain(raised_by_yt_dlp(timeout)).reason is Reason.NETWORK
    assert explain(TransportError("reset")).reason is Reason.NETWORK
    country = utils.GeoRestrictedError("Not from here")
    assert explain(raised_by_yt_dlp(country)).reason is Reason.BLOCKED
    assert explain(MediaError("no audio track")).reason is Reason.NO_AUDIO
    assert explain(MediaError("no video track")).reason is Reason.NO_VIDEO
    assert explain(MediaError("no decoder")).reason is Reason.OTHER
    own = DownloadError(Reason.NETWORK, "x")
    assert explain(own) is own
    surprise = explain(KeyError("formats"))
    assert surprise.reason is Reason.OTHER
    assert surprise.message == "KeyError: 'formats'"
