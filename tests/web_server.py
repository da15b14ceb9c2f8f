"""A web server on this machine that misbehaves as it is told to."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time


class Answer:
    """What the server does with one request."""

    def __init__(
        self,
        body=b"",
        status=200,
        cut_at=None,
        delay_s=0.0,
        content_type="application/octet-stream",
        etag='"v1"',
        stated_length=None,
        ranges=True,
    ):
        self.body, self.status, self.cut_at = body, status, cut_at
        self.delay_s, self.content_type, self.etag = delay_s, content_type, etag
        self.stated_length, self.ranges = stated_length, ranges

    def send(self, handler):
        if self.delay_s:
            time.sleep(self.delay_s)
        start = self._range_start(handler.headers)
        handler.send_response(206 if start else self.status)
        handler.send_header("Content-Type", self.content_type)
        if self.etag:
            handler.send_header("ETag", self.etag)
        body = self.body[start:]
        if start:
            last = len(self.body) - 1
            handler.send_header(
                "Content-Range", f"bytes {start}-{last}/{len(self.body)}"
            )
        length = self.stated_length or len(body)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body[: self.cut_at])

    def _range_start(self, headers):
        asked = headers.get("Range", "")
        same = self.ranges and headers.get("If-Range") == self.etag
        if self.status != 200 or not same or not asked:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))


class WebServer:
    """Gives each request the next answer; the last one is repeated.

    Attributes:
        url: Address of a file on it.
        requests: (path, headers) of the requests so far.
    """

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/weights.bin"
        self.answers = []
        self.requests = []

    def next_answer(self, path, headers):
        self.requests.append((path, dict(headers)))
        return self.answers[min(len(self.requests), len(self.answers)) - 1]


@contextlib.contextmanager
def serving():
    """Yields a running server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = web.next_answer(self.path, self.headers)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                answer.send(self)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = WebServer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
