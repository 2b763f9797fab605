# shellcheck shell=bash
# What scripts/demo and scripts/stop share; sourced, never run.
#
# Owns: where a demo installation keeps its things, and how its tosed is recognised, started and stopped.

# shellcheck disable=SC2034  # the names are for the scripts that source this

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly DEMO="${TOSE_DEMO_DIR:-$ROOT/.tose}"
readonly BIN="$DEMO/bin" DATA="$DEMO/data"
readonly PID_FILE="$DEMO/tosed.pid" SERVER_LOG="$DEMO/tosed.log" STARTED_AS="$DEMO/tosed.started-as"
readonly ENGINE_MARK="$DEMO/engine-started"
readonly STOP_SECONDS=45

# One demo command at a time per installation.
lock_demo() {
    mkdir -p "$DEMO"
    chmod 700 "$DEMO"
    exec 8>"$DEMO/lock"
    flock -w 600 8 || die "another demo command is at work in $DEMO"
}

# The pid of our `tosed serve`, if it runs.
server_pid() { recorded_process "$PID_FILE"; }

server_is_gone() { recorded_process_is_gone "$PID_FILE"; }

# Pids of every process that runs this installation's tosed, the data plane included. A binary replaced on disk shows as deleted.
installation_pids() {
    local link target
    for link in /proc/[0-9]*/exe; do
        target=$(readlink "$link" 2>/dev/null) || continue
        if [[ ${target% (deleted)} == "$BIN/tosed" ]]; then
            link=${link#/proc/}
            printf '%s\n' "${link%/exe}"
        fi
    done
}

# Lets the control plane finish what it does; apps and data plane are none of its children's business and go on.
stop_server() {
    local pid
    if ! pid=$(server_pid); then
        rm -f "$PID_FILE"
        return 0
    fi
    kill -TERM "$pid"
    if ! wait_until "$STOP_SECONDS" server_is_gone; then
        say "tosed ($pid) did not end within $STOP_SECONDS s of SIGTERM; killing it (its log: $SERVER_LOG)"
        kill -KILL "$pid"
        wait_until 10 server_is_gone || die "tosed ($pid) cannot be killed"
    fi
    rm -f "$PID_FILE"
}

# Stops the data plane and every app container of this installation; data, images and volumes stay.
shut_down_apps() {
    "$BIN/tosed" --data-dir "$DATA" admin shutdown </dev/null
}
