"""Videos of a site that yt-dlp knows, opened without downloading them whole."""

from __future__ import annotations

import dataclasses
import functools

import yt_dlp
from yt_dlp.networking import Request

from avmil.clips.clip_lists import is_youtube_id
from avmil.clips.download_failures import DownloadError, Reason
from avmil.clips.http_file import HttpFile
from avmil.clips.rate_limit import RateLimit

YOUTUBE_URL = "https://www.youtube.com/watch?v={id}"


# What reads an address that belongs to no known site: a file, or any page with
# videos of other addresses in it.
_PAGE_EXTRACTORS = ("Generic", "HTML5MediaEmbed")


@dataclasses.dataclass(frozen=True)
class SiteOptions:
    """How a site is asked for a video.

    Attributes:
        source_url: Address of a video, with `{id}` in place of its id.
        max_height_px: Largest height that is taken.
        cookies: Cookies file in Netscape's format; "" for none.
        timeout_s: How long the site may be silent.
        pause_s: Pause between two requests for the same video's addresses.
    """

    source_url: str = YOUTUBE_URL
    max_height_px: int = 480
    cookies: str = ""
    timeout_s: float = 30.0
    pause_s: float = 0.0


class VideoSite:
    """Opens videos; each worker has its own.

    Args:
        options: How the site is asked.
        rate_limit: Ends requests when the work stops.

    Raises:
        ValueError: If the cookies file cannot be read.
    """

    def __init__(self, options: SiteOptions, rate_limit: RateLimit) -> None:
        self._source_url = options.source_url
        self._rate_limit = rate_limit
        self._downloader = yt_dlp.YoutubeDL(_parameters(options))
        try:
            self._downloader.cookiejar  # noqa: B018  # Read on first use.
        except (yt_dlp.utils.YoutubeDLError, OSError) as error:
            raise ValueError(
                "Expected cookies in Netscape's format, received "
                f"{options.cookies}: {error}."
            ) from error

    def open(self, video_id: str) -> list[HttpFile]:
        """Opens a video.

        Returns:
            One file with picture and sound, or one for each.

        Raises:
            DownloadError: If the video's id or addresses are unusable.
            yt_dlp.utils.YoutubeDLError: If the site does not give the video.
        """
        if not is_youtube_id(video_id):
            raise DownloadError(
                Reason.OTHER,
                f"Expected an id of 11 characters, received {video_id!r}.",
            )
        info = self._downloader.extract_info(
            self._source_url.replace("{id}", video_id), download=False
        )
        check_is_video(info, video_id)
        return [
            self._open_format(one)
            for one in info.get("requested_formats") or [info]
        ]

    def _open_format(self, media: dict) -> HttpFile:
        url = media.get("url") or ""
        if not url.startswith(("http://", "https://")):
            raise DownloadError(Reason.NO_VIDEO, "no single file to read from")
        headers = media.get("http_headers") or {}
        return HttpFile(functools.partial(self._request, url, headers))

    def _request(
        self, url: str, headers: dict[str, str], first: int, last: int
    ) -> yt_dlp.networking.Response:
        self._rate_limit.check()
        ranged = {
            **headers,
            "Range": f"bytes={first}-{last}",
            "Accept-Encoding": "identity",
        }
        return self._downloader.urlopen(Request(url, headers=ranged))


def check_is_video(info: dict, video_id: str) -> None:
    """Refuses what yt-dlp found in a web page instead of the wanted video.

    Args:
        info: What yt-dlp says of an address.
        video_id: The wanted video.

    Raises:
        DownloadError: If it is another video, or one that a page embeds.
    """
    is_page = info.get("extractor_key") in _PAGE_EXTRACTORS
    is_file = info.get("direct") or any(
        media.get("manifest_url") == info.get("webpage_url")
        for media in info.get("formats") or ()
    )
    if info.get("id") != video_id or (is_page and not is_file):
        raise DownloadError(
            Reason.OTHER, "received a web page instead of the video"
        )


class _SilentLogger:
    """Takes yt-dlp's messages; errors are raised all the same."""

    def debug(self, message: str) -> None:
        """Drops a message."""

    warning = error = debug


def _parameters(options: SiteOptions) -> dict:
    return {
        "format": _format_selector(options.max_height_px),
        # H.264 and AAC decode fastest; MP4 keeps their exact times.
        "format_sort": ["res", "vcodec:h264", "acodec:aac"],
        "cookiefile": options.cookies or None,
        "socket_timeout": options.timeout_s,
        "sleep_interval_requests": options.pause_s,
        "noplaylist": True,
        "quiet": True,
        "no_warnings": True,
        "logger": _SilentLogger(),
    }


def _format_selector(max_height_px: int) -> str:
    """Formats that are one file behind an address, not a playlist of pieces."""
    http = "[protocol~='^https?$']"
    low = f"[height<=?{max_height_px}]{http}"
    return f"bv{low}+ba{http}/b{low}/bv*{low}/ba{http}"
