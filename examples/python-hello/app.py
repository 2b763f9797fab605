"""A small app to deploy first: a page and a health check.

Listens on PORT. Gunicorn finishes the requests under way on SIGTERM, so that a deploy drops none.
"""

import os
import platform
from pathlib import Path

from flask import Flask, render_template_string

GREETING = os.environ.get("GREETING", "Hello from TOSE")
VERSION = (Path(__file__).parent / "version.txt").read_text().strip()

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{{ greeting }}</title></head>
<body style="font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 18vh auto">
  <h1>{{ greeting }}</h1>
  <p>Version <code>{{ version }}</code>, Python <code>{{ python }}</code>.</p>
</body>
</html>
"""

app = Flask(__name__)


@app.get("/")
def index():
    return render_template_string(PAGE, greeting=GREETING, version=VERSION, python=platform.python_version())


@app.get("/healthz")
def healthz():
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}
