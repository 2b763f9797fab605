#!/usr/bin/env bash
# Starts the server; before that, makes the first user and runs the first scripts in an empty /data/db.
#
# Variables: MONGO_INITDB_ROOT_USERNAME, MONGO_INITDB_ROOT_PASSWORD (each also as …_FILE), MONGO_INITDB_DATABASE.
# Not here: another folder than /data/db.
set -Eeuo pipefail

readonly DATA=/data/db START_SECONDS=30

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# from_file NAME: sets NAME, from the file that NAME_FILE names if there is one.
from_file() {
    local file=$1_FILE
    [[ -z ${!1:-} || -z ${!file:-} ]] || fail "both $1 and $file are set (but are exclusive)"
    if [[ -n ${!file:-} ]]; then
        printf -v "$1" '%s' "$(<"${!file}")"
    else
        printf -v "$1" '%s' "${!1:-}"
    fi
    unset "$file"
}

# run_script FILE: in MONGO_INITDB_DATABASE, as the first user. The password is no argument, which everybody could read.
run_script() {
    local login=()
    if [[ -n $MONGO_INITDB_ROOT_USERNAME ]]; then
        login=(--eval 'db.getSiblingDB("admin").auth(process.env.FERRETDB_SETUP_USERNAME, process.env.FERRETDB_SETUP_PASSWORD)')
    fi
    mongosh --quiet "mongodb://127.0.0.1/${MONGO_INITDB_DATABASE:-test}" "${login[@]}" --file "$1"
}

run_scripts() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        # shellcheck source=/dev/null
        case $file in
            *.sh) source "$file" ;;
            *.js) run_script "$file" ;;
        esac
    done
}

# Nobody outside sees the server before the scripts have run, so this one listens on the loopback address only.
run_scripts_first() {
    "$@" --bind_ip 127.0.0.1 &
    local server=$! end=$((SECONDS + START_SECONDS))
    until (: </dev/tcp/127.0.0.1/27017) 2>/dev/null; do
        kill -0 "$server" 2>/dev/null || fail "the server ended before it was ready"
        ((SECONDS < end)) || fail "the server was not ready within $START_SECONDS s"
        sleep 0.1
    done
    run_scripts
    kill "$server"
    wait "$server" || true
}

main() {
    [[ ${1:-} != -* ]] || set -- mongod "$@"
    if [[ ${1:-} == mongod && $(id -u) == 0 ]]; then
        find "$DATA" /data/configdb \! -user mongodb -exec chown mongodb '{}' +
        exec gosu mongodb "${BASH_SOURCE[0]}" "$@"
    fi
    if [[ ${1:-} == mongod && " $* " != *' --version '* ]]; then
        from_file MONGO_INITDB_ROOT_USERNAME
        from_file MONGO_INITDB_ROOT_PASSWORD
        if [[ -n $MONGO_INITDB_ROOT_USERNAME && -n $MONGO_INITDB_ROOT_PASSWORD ]]; then
            export FERRETDB_SETUP_DATABASE=admin FERRETDB_SETUP_USERNAME=$MONGO_INITDB_ROOT_USERNAME \
                FERRETDB_SETUP_PASSWORD=$MONGO_INITDB_ROOT_PASSWORD
            set -- "$@" --auth
        elif [[ -n $MONGO_INITDB_ROOT_USERNAME$MONGO_INITDB_ROOT_PASSWORD ]]; then
            fail "missing 'MONGO_INITDB_ROOT_USERNAME' or 'MONGO_INITDB_ROOT_PASSWORD': both must be set for a user to be created"
        fi
        [[ -e $DATA/admin.sqlite || -z $(ls /docker-entrypoint-initdb.d) ]] || run_scripts_first "$@"
        unset "${!MONGO_INITDB_@}"
        # In a container nothing is reached unless the server listens everywhere.
        [[ " $* " == *' --bind_ip'* ]] || set -- "$@" --bind_ip_all
    fi
    exec "$@"
}

main "$@"
