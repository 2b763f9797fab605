#!/bin/sh
# Starts Redis, as the user `redis` when it is started by root; options and configuration files alone mean redis-server.
set -eu

case "${1:-}" in
    -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "${1:-}" = redis-server ]; then
    if [ "$(id -u)" = 0 ]; then
        find . \! -user redis -exec chown redis '{}' +
        exec gosu redis "$0" "$@"
    fi
    shift
    # A container is reached from outside only where its network allows it. Redis of this image's name is built without that
    # protection; whoever wants it sets it in what follows. A configuration file can only be the first argument.
    case "${1:-}" in
        '' | -*) set -- redis-server --protected-mode no "$@" ;;
        *)
            file=$1
            shift
            set -- redis-server "$file" --protected-mode no "$@"
            ;;
    esac
    if [ "$(umask)" = 0022 ]; then umask 0077; fi
fi
exec "$@"
