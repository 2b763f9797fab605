#!/bin/sh
# Lets `docker run IMAGE script.js` and `docker run IMAGE --version` mean node, and leaves every real command alone.
set -e
case "${1:-}" in
    -*) set -- node "$@" ;;
    *)
        if ! command -v "${1:-}" >/dev/null || { [ -f "$1" ] && ! [ -x "$1" ]; }; then
            set -- node "$@"
        fi
        ;;
esac
exec "$@"
