#!/usr/bin/env bash
# Starts PostgreSQL; before that, makes the cluster, its superuser and its first database in an empty $PGDATA.
#
# Variables: POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB (each also as …_FILE), POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD.
# Not here: POSTGRES_INITDB_WALDIR.
set -Eeuo pipefail

fail() {
    printf 'Error: %s\n' "$*" >&2
    exit 1
}

# from_file NAME DEFAULT: sets NAME, from the file that NAME_FILE names if there is one.
from_file() {
    local file=$1_FILE
    [[ -z ${!1:-} || -z ${!file:-} ]] || fail "both $1 and $file are set (but are exclusive)"
    if [[ -n ${!file:-} ]]; then
        printf -v "$1" '%s' "$(<"${!file}")"
    else
        printf -v "$1" '%s' "${!1:-$2}"
    fi
    unset "$file"
}

read_variables() {
    from_file POSTGRES_PASSWORD ''
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    : "${POSTGRES_INITDB_ARGS:=}" "${POSTGRES_HOST_AUTH_METHOD:=}"
    if [[ -z $POSTGRES_PASSWORD && $POSTGRES_HOST_AUTH_METHOD != trust ]]; then
        fail "Database is uninitialized and superuser password is not specified. Set POSTGRES_PASSWORD to a non-empty value."
    fi
}

# Connections over the socket and from inside the container need no password, as initdb has it; the line that is added is for all others.
make_cluster() {
    eval "initdb --username=\"\$POSTGRES_USER\" --pwfile=<(printf '%s\n' \"\$POSTGRES_PASSWORD\") $POSTGRES_INITDB_ARGS"
    local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption)}
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# sql [psql option…]: over the socket, where no password is asked for; variables of the caller's must not lead it elsewhere.
sql() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"
}

run_scripts() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        # shellcheck source=/dev/null
        case $file in
            *.sh) if [[ -x $file ]]; then "$file"; else source "$file"; fi ;;
            *.sql) sql --dbname "$POSTGRES_DB" -f "$file" ;;
            *.sql.gz) gunzip -c "$file" | sql --dbname "$POSTGRES_DB" ;;
        esac
    done
}

# The server is not to be seen from outside before all is done, so this one listens on its socket only.
initialize() {
    read_variables
    make_cluster
    local options
    printf -v options '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}"
    NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -o "$options" -w start
    if [[ $POSTGRES_DB != postgres ]]; then
        sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
    fi
    run_scripts
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset POSTGRES_PASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

wants_help() {
    local argument
    for argument in "$@"; do
        case $argument in
            -'?' | --help | --describe-config | -V | --version) return 0 ;;
        esac
    done
    return 1
}

main() {
    [[ ${1:-} != -* ]] || set -- postgres "$@"
    if [[ ${1:-} == postgres ]] && ! wants_help "$@"; then
        if [[ $(id -u) == 0 ]]; then
            mkdir -p "$PGDATA"
            chmod 700 "$PGDATA"
            find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
            find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
            exec gosu postgres "${BASH_SOURCE[0]}" "$@"
        fi
        if [[ -s $PGDATA/PG_VERSION ]]; then
            printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
        else
            initialize "${@:2}"
        fi
    fi
    exec "$@"
}

main "$@"
