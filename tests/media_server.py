"""A server on this machine that serves, breaks off, refuses and delays."""

from __future__ import annotations

import collections
import contextlib
import http.server
import re
import socket
import threading
import time

MEDIA_TYPES = {
    "mp4": "video/mp4",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "mpd": "application/dash+xml",
    "html": "text/html",
}


class MediaServer:
    """Serves bytes under names, by ranges, each as its behaviors tell.

    Attributes:
        contents: Name to bytes.
        behaviors: Name to what happens at its next requests, one each:
            a status, "break" (half of what was promised), "silent" (no
            answer), "slow" (after 0.3 s), "no ranges", "endless" (its bytes
            again and again), "trickle" (one at a time), "gzip" (said to be
            packed), "to ADDRESS" (a redirection) or "ok"; afterwards it serves.
        always: Name to a behavior for all of its requests.
        requests: (name, range or "", seconds, headers) of each request.
        base: Address of the server.
        url: Address of an MP4, with {id} in place of its name's stem.
    """

    def __init__(self):
        self.contents: dict[str, bytes] = {}
        self.behaviors = collections.defaultdict(list)
        self.always: dict[str, object] = {}
        self.requests: list[tuple] = []
        self._released = threading.Event()

    def count(self, name):
        return sum(request[0] == name for request in self.requests)

    @contextlib.contextmanager
    def running(self):
        handler = type("Handler", (_Handler,), {"media": self})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.base = f"http://127.0.0.1:{server.server_address[1]}"
        self.url = f"{self.base}/{{id}}.mp4"
        try:
            yield self
        finally:
            self._released.set()
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    media: MediaServer

    def do_GET(self):
        name = self.path.lstrip("/")
        wanted = self.headers.get("Range", "")
        self.media.requests.append(
            (name, wanted, time.monotonic(), dict(self.headers))
        )
        behavior = self.media.always.get(name, "ok")
        if waiting := self.media.behaviors[name]:
            behavior = waiting.pop(0)
        if name not in self.media.contents:
            behavior = 404
        if behavior == "silent":
            self.media._released.wait(20)
            return
        if behavior == "slow":
            time.sleep(0.3)
        address = ""
        if isinstance(behavior, str) and behavior.startswith("to "):
            address, behavior = behavior[3:], 302
        if isinstance(behavior, int):
            self.send_response(behavior)
            self.send_header("Location", address)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = part = self.media.contents[name]
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if match and behavior != "no ranges":
            first, last = int(match[1]), int(match[2] or len(content) - 1)
            part = content[first : last + 1]
            last = first + len(part) - 1
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {first}-{last}/{len(content)}"
            )
        else:
            self.send_response(200)
        media_type = MEDIA_TYPES.get(name.split(".")[-1])
        self.send_header("Content-Type", media_type or "application/x-weights")
        if behavior != "endless":
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Accept-Ranges", "bytes")
        if behavior == "gzip":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with contextlib.suppress(OSError):
            while behavior == "endless":
                self.wfile.write(part)
            if behavior == "trickle":
                for number in range(len(part)):
                    self.wfile.write(part[number : number + 1])
                    if self.media._released.wait(0.1):
                        return
            elif behavior == "break":
                self.wfile.write(part[: len(part) // 2])
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(part)

    def log_message(self, *arguments):
        pass


def allow_only_this_machine(monkeypatch):
    """Makes a connection to any other address fail the test."""
    connect = socket.socket.connect

    def checked(self, address):
        assert not isinstance(address, tuple) or address[0] == "127.0.0.1"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", checked)
    monkeypatch.setenv("no_proxy", "*")  # Also for processes started.
