"""Passes the first account on to pgAdmin's own set-up, then serves it."""

import os
import sys
from importlib.util import find_spec

email = os.environ.get("PGADMIN_DEFAULT_EMAIL")
password = os.environ.get("PGADMIN_DEFAULT_PASSWORD")
if not email or not password:
    sys.exit("PGADMIN_DEFAULT_EMAIL and PGADMIN_DEFAULT_PASSWORD have to be set.")
os.environ["PGADMIN_SETUP_EMAIL"] = email
os.environ["PGADMIN_SETUP_PASSWORD"] = password

# Sessions live in one process, so it is one worker with many threads.
port = os.environ.get("PORT", "8080")
os.execv(
    "/venv/bin/gunicorn",
    [
        "gunicorn",
        f"--bind=0.0.0.0:{port}",
        "--workers=1",
        "--threads=25",
        "--timeout=300",
        "--access-logfile=-",
        f"--chdir={find_spec('pgadmin4').submodule_search_locations[0]}",
        "pgAdmin4:app",
    ],
)
