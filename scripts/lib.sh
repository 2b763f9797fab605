# shellcheck shell=bash
# Shared by the scripts of this repository; sourced, never run.
#
# Owns: where the checkout and cargo's output are, how scripts speak, how they wait, and how they know a process again.

# Daemons live in sbin, which an ordinary user's PATH often lacks; rustup does not edit this shell's PATH.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:${CARGO_HOME:-$HOME/.cargo}/bin"

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # for the scripts that source this
readonly ROOT

# One target directory for every checkout on the machine, so that dependencies are compiled once.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/tose-target}"

# The classic builder needs no plug-in and is in every engine from 20.10 on.
export DOCKER_BUILDKIT=0

# A script sets `SPEAKER` to its own name before its first word.
say() { printf '%s: %s\n' "${SPEAKER:-tose}" "$*"; }
die() { printf '%s: %s\n' "${SPEAKER:-tose}" "$*" >&2; exit 1; }

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "needs root to run: $* (no sudo here; do it as root once)"
    fi
}

has_systemd() { [[ -d /run/systemd/system ]]; }

# wait_until SECONDS COMMAND…: polls the condition until it holds (0) or the time is over (1).
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

# A pid alone may name another process later; with its start time (clock ticks since boot) it names one for ever.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# record_process PID FILE: writes `PID START` for recorded_process to read.
record_process() { printf '%s %s\n' "$1" "$(started_at "$1")" >"$2"; }

# recorded_process FILE: prints the recorded pid if that very process still runs, else fails.
recorded_process() {
    local pid='' start=''
    [[ -s $1 ]] && read -r pid start <"$1"
    [[ $pid =~ ^[0-9]+$ && -n $start && $(started_at "$pid") == "$start" ]] || return 1
    [[ $(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) != Z* ]] || return 1
    printf '%s\n' "$pid"
}

recorded_process_is_gone() { ! recorded_process "$1" >/dev/null; }

# remove_engine_objects DATA: what the installation in this data directory made on the engine, but for what is cached.
remove_engine_objects() {
    local id kind
    id=$(python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT value FROM settings WHERE key = ?", ("installation_id",)).fetchone()[0])' "$1/tose.db") || return 0
    docker ps --all --quiet --filter "label=tose.installation=$id" | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
    for kind in network volume; do
        docker "$kind" ls --quiet --filter "label=tose.installation=$id" | xargs --no-run-if-empty docker "$kind" rm >/dev/null
    done
    docker images --format '{{.Repository}}:{{.Tag}}' --filter "reference=tose-$id/*" | xargs --no-run-if-empty docker rmi >/dev/null
    # Only where the server was let to make one.
    nft delete table inet "tose-$id" 2>/dev/null || true
}
