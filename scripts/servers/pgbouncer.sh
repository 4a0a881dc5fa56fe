# start_pgbouncer: exports KEEP_PGBOUNCER_SESSION_URL and KEEP_PGBOUNCER_TRANSACTION_URL, which lead
# to the server of KEEP_POSTGRES_URL (started if need be) by one PgBouncer, in `pool_mode=session` and
# `pool_mode=transaction`. The latter forgets prepared statements: it is older than 1.21, or told so.
# To be sourced by bash, see lib.sh.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/postgres.sh"

start_pgbouncer() {
    if [[ -n ${KEEP_PGBOUNCER_SESSION_URL:-} && -n ${KEEP_PGBOUNCER_TRANSACTION_URL:-} ]]; then
        return 0
    fi
    start_postgres
    local server dir port pid try target as=()
    server=$(find_or_install pgbouncer pgbouncer)
    target=$(_pgbouncer_target "$KEEP_POSTGRES_URL") || {
        echo "PgBouncer needs KEEP_POSTGRES_URL as postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE" >&2
        return 1
    }
    server_dir pgbouncer
    dir=$REPLY
    if [[ $(id -u) == 0 ]]; then
        # It refuses to run as root.
        chown nobody "$dir"
        as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
    fi
    for try in 1 2 3; do
        port=$(free_port)
        # sqlx sends `extra_float_digits`, which PgBouncer does not know.
        cat >"$dir/ini" <<INI
[databases]
session = $target pool_mode=session
transaction = $target pool_mode=transaction
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
ignore_startup_parameters = extra_float_digits
max_client_conn = 500
default_pool_size = 100
INI
        if [[ $("$server" --version) =~ \ 1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 21)); then
            echo 'max_prepared_statements = 0' >>"$dir/ini"
        fi
        (cd "$dir" && exec "${as[@]}" "$server" "$dir/ini") >"$dir/log" 2>&1 &
        pid=$!
        # It ends by itself if somebody took the port meanwhile.
        if wait_until 10 _pgbouncer_is_up "$pid" "$dir"; then
            stop_later "$pid"
            export KEEP_PGBOUNCER_SESSION_URL=postgres://keep@127.0.0.1:$port/session
            export KEEP_PGBOUNCER_TRANSACTION_URL=postgres://keep@127.0.0.1:$port/transaction
            return 0
        fi
        kill "$pid" 2>/dev/null || true
    done
    echo "pgbouncer does not start:" >&2
    tail -n 20 "$dir/log" >&2
    return 1
}

# The URL of a server as PgBouncer names it.
_pgbouncer_target() {
    [[ $1 =~ ^postgres(ql)?://([^:@/]+)(:([^@/]*))?@([^:@/]+)(:([0-9]+))?/([^?]+) ]] || return 1
    local m=("${BASH_REMATCH[@]}")
    printf 'host=%s port=%s dbname=%s user=%s%s\n' \
        "${m[5]}" "${m[7]:-5432}" "${m[8]}" "${m[2]}" "${m[4]:+ password=${m[4]}}"
}

# Whether it is this very server that is ready.
_pgbouncer_is_up() {
    kill -0 "$1" || return 1
    grep -q 'process up' "$2/log"
}
