"""Why a clip could not be fetched."""

from __future__ import annotations

import enum
import re

import av
from yt_dlp import utils
from yt_dlp.networking import exceptions

from avmil.common.errors import MediaError


class Reason(str, enum.Enum):
    """Reason that `missing_clips.csv` gives."""

    REMOVED = "removed"
    PRIVATE = "private"
    BLOCKED = "blocked in this country"
    AGE_RESTRICTED = "age-restricted"
    NO_AUDIO = "no audio"
    NO_VIDEO = "no video"
    REFUSED = "refused"
    NETWORK = "network"
    OTHER = "other"


# Reasons that may pass while one waits.
PASSING = frozenset({Reason.REFUSED, Reason.NETWORK})
# Reasons that will hold tomorrow too: such clips are not tried again.
PERMANENT = frozenset(Reason) - PASSING - {Reason.OTHER}

_STATUS_REASONS = {
    401: Reason.PRIVATE,
    403: Reason.REFUSED,
    404: Reason.REMOVED,
    408: Reason.NETWORK,
    410: Reason.REMOVED,
    429: Reason.REFUSED,
    451: Reason.BLOCKED,
}

# What YouTube, yt-dlp and `download` say; the first match counts. YouTube
# begins many messages with "Video unavailable", which therefore comes late.
_MESSAGE_REASONS = tuple(
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
        (r"^no audio", Reason.NO_AUDIO),
        (r"^no video|requested format is not available", Reason.NO_VIDEO),
        (r"not a (ro)?bot|rate.?limit|too many requests", Reason.REFUSED),
        (r"try again later", Reason.NETWORK),
        (
            r"(your|this) country|your location|geo.?restrict"
            r"|on copyright grounds",
            Reason.BLOCKED,
        ),
        (
            r"confirm your age|age.?restricted|inappropriate for some",
            Reason.AGE_RESTRICTED,
        ),
        (
            r"private|members.?only|channel's members|requires payment",
            Reason.PRIVATE,
        ),
        (r"timed? ?out|connection|getaddrinfo|name resolution", Reason.NETWORK),
        (
            r"removed|terminated|no longer available|unavailable"
            r"|isn.t available|not available anymore|does not exist"
            r"|(video|recording) is not available|closed their",
            Reason.REMOVED,
        ),
    )
)


def explain(error: Exception) -> tuple[Reason, str]:
    """Finds the reason for whatever fetching a clip raised.

    Returns:
        One of a few reasons, and what exactly happened in one line.
    """
    cause = _cause(error)
    message = _plain(error) or type(error).__name__
    if isinstance(cause, exceptions.HTTPError):
        is_overload = cause.status >= 500
        other = Reason.NETWORK if is_overload else Reason.OTHER
        return _STATUS_REASONS.get(cause.status, other), message
    if isinstance(cause, (exceptions.TransportError, OSError)):
        is_unreadable = isinstance(cause, av.FFmpegError)
        return Reason.OTHER if is_unreadable else Reason.NETWORK, message
    if isinstance(cause, utils.GeoRestrictedError):
        return Reason.BLOCKED, message
    if isinstance(cause, (MediaError, utils.YoutubeDLError)):
        return _message_reason(message), message
    return Reason.OTHER, f"{type(error).__name__}: {message}"


def _cause(error: Exception) -> BaseException:
    """Unwraps yt-dlp's errors down to that of the network, where it is one."""
    if isinstance(error, utils.DownloadError) and error.exc_info:
        error = error.exc_info[1] or error
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, exceptions.RequestError) else error


def _plain(error: Exception) -> str:
    """What an error says, without colors and without whom to tell."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).removeprefix("ERROR: ")
    text = re.split(r"; please report this issue| \(caused by <?\w", text)[0]
    return " ".join(text.split())


def _message_reason(message: str) -> Reason:
    for pattern, reason in _MESSAGE_REASONS:
        if pattern.search(message):
            return reason
    return Reason.OTHER
