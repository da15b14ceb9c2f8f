"""Which reason an error means."""

from __future__ import annotations

import io

import av
import pytest
from yt_dlp import utils
from yt_dlp.networking import Response
from yt_dlp.networking.exceptions import HTTPError, TransportError

from avmil.clips.download_outcomes import (
    Outcome,
    Reason,
    explain,
    read_outcomes,
    site_name,
)
from avmil.clips.manifest import ManifestEntry
from avmil.common.errors import MediaError
from flags import DownloadConfig


def raised_by_yt_dlp(error):
    """The form in which `extract_info` raises an extractor's error."""
    return utils.DownloadError(f"ERROR: {error}", (type(error), error, None))


def test_the_journal_holds_the_last_word_on_each_clip(tmp_path):
    """However often a download is started again."""
    journal = tmp_path / "downloads.jsonl"
    config = DownloadConfig(clips_dir=str(tmp_path))
    tried = "a", "v None None", site_name(config)
    refused = Outcome(*tried, reason=Reason.REFUSED.value)
    removed = Outcome(*tried, reason=Reason.REMOVED.value)
    lines = [refused.to_json(), "\n{half a li\n", removed.to_json()]
    journal.write_text("".join(lines * 50))
    entries = [ManifestEntry("a", "v.mp4", (), "val")]
    for _ in range(2):
        found = read_outcomes(config, entries)
        assert found == {"a": removed}
        assert journal.read_text() == removed.to_json()


MESSAGES = {
    "Video unavailable": Reason.REMOVED,
    "Video unavailable. This video has been removed by the uploader": (
        Reason.REMOVED
    ),
    "This video is no longer available because the YouTube account "
    "associated with this video has been terminated.": Reason.REMOVED,
    "This video isn't available anymore": Reason.REMOVED,
    "This video is not available": Reason.REMOVED,
    "Private video. Sign in if you've been granted access to this video": (
        Reason.PRIVATE
    ),
    "Join this channel to get access to members-only content": Reason.PRIVATE,
    "Video unavailable. The uploader has not made this video available in "
    "your country": Reason.BLOCKED,
    "Video unavailable. This video contains content from X, who has blocked "
    "it in your country on copyright grounds": Reason.BLOCKED,
    "Sign in to confirm your age. This video may be inappropriate for some "
    "users.": Reason.AGE_RESTRICTED,
    "Sign in to confirm you're not a bot": Reason.REFUSED,
    "Video unavailable. This content isn't available, try again later. The "
    "current session has been rate-limited by YouTube": Reason.REFUSED,
    "Requested format is not available": Reason.NO_VIDEO,
    "Something that nobody has seen before": Reason.OTHER,
}


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_of_youtube(message):
    error = utils.ExtractorError(message, video_id="aaaaaaaaaaa", expected=True)
    reason, text = explain(raised_by_yt_dlp(error))
    assert reason is MESSAGES[message]
    assert message in text
    assert "\n" not in text


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
    media_error = HTTPError(Response(io.BytesIO(), "http://x", {}, status))
    page_error = utils.ExtractorError("Unable to download", cause=media_error)
    assert explain(media_error)[0] is reason
    assert explain(raised_by_yt_dlp(page_error))[0] is reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TransportError("reset"), Reason.NETWORK),
        (
            raised_by_yt_dlp(
                utils.ExtractorError("x", cause=TransportError("timed out"))
            ),
            Reason.NETWORK,
        ),
        (
            raised_by_yt_dlp(utils.GeoRestrictedError("Not from here")),
            Reason.BLOCKED,
        ),
        (MediaError("no audio track"), Reason.NO_AUDIO),
        (MediaError("no video track"), Reason.NO_VIDEO),
        (MediaError("received a web page"), Reason.OTHER),
        (ConnectionError("FFmpeg exited with code 187"), Reason.NETWORK),
        (av.error.InvalidDataError(1, "rubbish"), Reason.OTHER),
        (KeyError("formats"), Reason.OTHER),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_other_errors(error, reason):
    assert explain(error)[0] is reason
