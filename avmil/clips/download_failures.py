"""Why a clip could not be fetched."""

from __future__ import annotations

import enum
import re

import av
from yt_dlp import networking, utils

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


# Reasons that will hold tomorrow too: such clips are not tried again.
PERMANENT = frozenset(
    {
        Reason.REMOVED,
        Reason.PRIVATE,
        Reason.BLOCKED,
        Reason.AGE_RESTRICTED,
        Reason.NO_AUDIO,
        Reason.NO_VIDEO,
    }
)

# Reasons that may pass while one waits.
PASSING = frozenset({Reason.REFUSED, Reason.NETWORK})

_STATUS_REASONS = {
    401: Reason.PRIVATE,
    403: Reason.REFUSED,
    404: Reason.REMOVED,
    408: Reason.NETWORK,
    410: Reason.REMOVED,
    429: Reason.REFUSED,
    451: Reason.BLOCKED,
}

# What YouTube and yt-dlp say; the first match counts. YouTube begins many
# messages with "Video unavailable", which therefore comes late.
_MESSAGE_REASONS = tuple(
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
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
        (
            r"requested format is not available|no video formats",
            Reason.NO_VIDEO,
        ),
    )
)


class DownloadError(Exception):
    """A clip that could not be fetched.

    Attributes:
        reason: One of a few reasons.
        message: What exactly happened, in one line.
        retry_after_s: How long the server asks to wait; 0 where it does not.
    """

    def __init__(
        self, reason: Reason, message: str, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = " ".join(message.split())
        self.retry_after_s = retry_after_s


def explain(error: Exception) -> DownloadError:
    """Finds the reason for whatever fetching a clip raised."""
    if isinstance(error, DownloadError):
        return error
    cause = _cause(error)
    message = _plain(error) or type(error).__name__
    if isinstance(cause, networking.exceptions.HTTPError):
        return DownloadError(
            _status_reason(cause.status), message, _retry_after_s(cause)
        )
    if isinstance(cause, networking.exceptions.TransportError):
        return DownloadError(Reason.NETWORK, message)
    if isinstance(cause, utils.GeoRestrictedError):
        return DownloadError(Reason.BLOCKED, message)
    if isinstance(cause, av.FFmpegError):
        return DownloadError(Reason.OTHER, f"cannot be read: {message}")
    if isinstance(cause, MediaError):
        return DownloadError(_track_reason(message), message)
    if isinstance(cause, utils.YoutubeDLError):
        return DownloadError(_message_reason(message), message)
    return DownloadError(Reason.OTHER, f"{type(error).__name__}: {message}")


def _cause(error: Exception) -> BaseException:
    """Unwraps yt-dlp's errors down to that of the network, where it is one."""
    if isinstance(error, utils.DownloadError) and error.exc_info:
        error = error.exc_info[1] or error
    cause = getattr(error, "cause", None)
    known = networking.exceptions.RequestError
    return cause if isinstance(cause, known) else error


def _plain(error: Exception) -> str:
    """What an error says, without colors and without whom to tell."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).removeprefix("ERROR: ")
    return re.split(r"; please report this issue| \(caused by <?\w", text)[0]


def _status_reason(status: int) -> Reason:
    if status >= 500:
        return Reason.NETWORK
    return _STATUS_REASONS.get(status, Reason.OTHER)


def _retry_after_s(error: networking.exceptions.HTTPError) -> float:
    text = error.response.headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d{1,5}", text, re.ASCII) else 0.0


def _track_reason(message: str) -> Reason:
    for reason in (Reason.NO_AUDIO, Reason.NO_VIDEO):
        if message.startswith(reason.value):
            return reason
    return Reason.OTHER


def _message_reason(message: str) -> Reason:
    for pattern, reason in _MESSAGE_REASONS:
        if pattern.search(message):
            return reason
    return Reason.OTHER
