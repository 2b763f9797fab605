#!/usr/bin/env bash
# Starts the server; before that, makes its system tables, passwords and first database in an empty /var/lib/mysql.
#
# Variables: MYSQL_ROOT_PASSWORD, MYSQL_ROOT_HOST, MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD (each also as …_FILE),
#            MYSQL_ALLOW_EMPTY_PASSWORD, MYSQL_RANDOM_ROOT_PASSWORD.
# Not here: another folder than /var/lib/mysql, time zone tables, MYSQL_ONETIME_PASSWORD.
set -Eeuo pipefail

readonly DATA=/var/lib/mysql SOCKET=/var/run/mysqld/mysqld.sock START_SECONDS=60

note() { printf '[Note] [Entrypoint]: %s\n' "$*"; }

fail() {
    printf '[ERROR] [Entrypoint]: %s\n' "$*" >&2
    exit 1
}

# from_file NAME DEFAULT: sets NAME, from the file that NAME_FILE names if there is one.
from_file() {
    local file=$1_FILE
    [[ -z ${!1:-} || -z ${!file:-} ]] || fail "Both $1 and $file are set (but are exclusive)"
    if [[ -n ${!file:-} ]]; then
        printf -v "$1" '%s' "$(<"${!file}")"
    else
        printf -v "$1" '%s' "${!1:-$2}"
    fi
    unset "$file"
}

read_variables() {
    from_file MYSQL_ROOT_PASSWORD ''
    from_file MYSQL_ROOT_HOST %
    from_file MYSQL_DATABASE ''
    from_file MYSQL_USER ''
    from_file MYSQL_PASSWORD ''
    if [[ -n ${MYSQL_RANDOM_ROOT_PASSWORD:-} ]]; then
        MYSQL_ROOT_PASSWORD=$(head -c 24 /dev/urandom | base64)
        note "GENERATED ROOT PASSWORD: $MYSQL_ROOT_PASSWORD"
    fi
    if [[ -z $MYSQL_ROOT_PASSWORD && -z ${MYSQL_ALLOW_EMPTY_PASSWORD:-} ]]; then
        fail "Database is uninitialized and password option is not specified. Set MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD or MYSQL_RANDOM_ROOT_PASSWORD."
    fi
    [[ $MYSQL_USER != root ]] || fail "MYSQL_USER=\"root\": root is there already; use MYSQL_ROOT_PASSWORD for its password"
    [[ -z $MYSQL_USER || -n $MYSQL_PASSWORD ]] || fail "MYSQL_USER needs MYSQL_PASSWORD"
}

# Prints its argument as a string of SQL.
quoted() {
    local text=${1//\\/\\\\}
    printf "'%s'" "${text//\'/\'\'}"
}

# Prints its argument as a name of SQL.
# shellcheck disable=SC2016  # SQL's quotes
named() { printf '`%s`' "${1//\`/\`\`}"; }

# Prints what makes the accounts and the database that the variables ask for.
first_statements() {
    local root user database
    root=$(quoted "$MYSQL_ROOT_PASSWORD")
    printf "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');\nFLUSH PRIVILEGES;\n"
    if [[ -n $MYSQL_DATABASE ]]; then
        printf 'CREATE DATABASE IF NOT EXISTS %s;\n' "$(named "$MYSQL_DATABASE")"
    fi
    if [[ -n $MYSQL_USER ]]; then
        user="$(quoted "$MYSQL_USER")@'%'"
        printf 'CREATE USER %s IDENTIFIED BY %s;\n' "$user" "$(quoted "$MYSQL_PASSWORD")"
        if [[ -n $MYSQL_DATABASE ]]; then
            # In a grant, _ stands for any character.
            database=$(named "${MYSQL_DATABASE//_/\\_}")
            printf 'GRANT ALL ON %s.* TO %s;\n' "$database" "$user"
        fi
    fi
    if [[ $MYSQL_ROOT_HOST != localhost ]]; then
        user="'root'@$(quoted "$MYSQL_ROOT_HOST")"
        printf 'CREATE USER %s IDENTIFIED BY %s;\nGRANT ALL ON *.* TO %s WITH GRANT OPTION;\n' "$user" "$root" "$user"
    fi
    printf "ALTER USER 'root'@'localhost' IDENTIFIED BY %s;\n" "$root"
}

# client [mysql option…]: as root over the socket, with MYSQL_PWD as its password.
client() { mysql --protocol=socket --socket="$SOCKET" --user=root --comments "$@"; }

run_scripts() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        # shellcheck source=/dev/null
        case $file in
            *.sh) if [[ -x $file ]]; then "$file"; else source "$file"; fi ;;
            *.sql) client "${MYSQL_DATABASE:-}" <"$file" ;;
            *.sql.gz) gunzip -c "$file" | client "${MYSQL_DATABASE:-}" ;;
        esac
    done
}

# wait_for_start PID
wait_for_start() {
    local end=$((SECONDS + START_SECONDS))
    until mysqladmin --protocol=socket --socket="$SOCKET" --user=root --silent ping >/dev/null 2>&1; do
        kill -0 "$1" 2>/dev/null || fail "The server ended before it was ready"
        ((SECONDS < end)) || fail "The server was not ready within $START_SECONDS s"
        sleep 0.1
    done
}

# The server is not to be seen from outside before all is done, so this one listens on its socket only.
initialize() {
    read_variables
    note "Initializing database files"
    mariadb-install-db --datadir="$DATA" --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve \
        --cross-bootstrap "${@:2}" >/dev/null
    note "Starting temporary server"
    "$@" --skip-networking --socket="$SOCKET" &
    local server=$!
    wait_for_start "$server"
    first_statements | client mysql
    export MYSQL_PWD=$MYSQL_ROOT_PASSWORD
    run_scripts
    note "Stopping temporary server"
    mysqladmin --protocol=socket --socket="$SOCKET" --user=root shutdown
    wait "$server"
    unset MYSQL_PWD
    note "MySQL init process done. Ready for start up."
}

wants_help() {
    local argument
    for argument in "$@"; do
        case $argument in
            -'?' | --help | --print-defaults | -V | --version) return 0 ;;
        esac
    done
    return 1
}

# accepted ARGUMENT…: fills `arguments`; what only MySQL knows is marked as an option that may be unknown.
accepted() {
    local argument
    arguments=()
    for argument in "$@"; do
        case $argument in
            --mysqlx* | --mysql-native-password* | --authentication-policy* | --caching-sha2-* | --innodb-redo-log-capacity* | \
                --innodb-dedicated-server* | --gtid-mode* | --enforce-gtid-consistency*)
                argument=--loose-${argument#--}
                ;;
        esac
        arguments+=("$argument")
    done
}

main() {
    [[ ${1:-} != -* ]] || set -- mysqld "$@"
    if [[ ${1:-} == mysqld ]] && ! wants_help "$@"; then
        if [[ $(id -u) == 0 ]]; then
            find "$DATA" /var/run/mysqld \! -user mysql -exec chown mysql '{}' +
            exec gosu mysql "${BASH_SOURCE[0]}" "$@"
        fi
        accepted "$@"
        set -- "${arguments[@]}"
        [[ -d $DATA/mysql ]] || initialize "$@"
    fi
    exec "$@"
}

main "$@"
