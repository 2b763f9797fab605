"""The app of most tests: answers with the text of the file `page`, and does on request what a test needs.

`main.py` decides what else happens; it ends with `app.serve()`.
"""

import http.server
import os
import signal
import sys
import urllib.parse
import urllib.request

PAGE = open("page").read()


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave together, and not in two packets that wait for each other.
    wbufsize = -1
    is_sick = False

    def do_GET(self):
        path, _, query = self.path.partition("?")
        text = urllib.parse.unquote(query)
        if path == "/crash":
            os._exit(1)
        elif path == "/sicken":
            App.is_sick = True
        elif path == "/healthz" and App.is_sick:
            return self.answer("sick", 500)
        elif path == "/print":
            print(text)
        elif path == "/print-err":
            print(text, file=sys.stderr)
        elif path == "/fetch":
            return self.answer(fetch(text))
        self.answer(PAGE)

    def answer(self, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return "fetched " + answer.read().decode()
    except OSError:
        return "unreachable"


def serve(host="", port=None):
    # The first process of a container ends on SIGTERM only if it says so.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Server((host, port or int(os.environ["PORT"])), App).serve_forever()
