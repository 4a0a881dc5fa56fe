# start_postgres: exports KEEP_POSTGRES_URL. To be sourced by bash, see lib.sh.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_postgres() {
    if [[ -n ${KEEP_POSTGRES_URL:-} ]]; then
        return 0
    fi
    local initdb server dir port pid try as=()
    initdb=$(realpath "$(find_or_install postgresql initdb)")
    server=$(dirname "$initdb")/postgres
    server_dir postgres
    dir=$REPLY
    if [[ $(id -u) == 0 ]]; then
        # It refuses to run as root.
        chown postgres "$dir"
        as=(setpriv --reuid=postgres --regid=postgres --init-groups)
    fi
    (cd "$dir" && exec "${as[@]}" "$initdb" --pgdata="$dir/data" --username=keep --auth=trust --encoding=UTF8 \
        --no-locale --no-sync) >"$dir/initdb.log" 2>&1 || {
        echo "initdb fails:" >&2
        tail -n 20 "$dir/initdb.log" >&2
        return 1
    }
    for try in 1 2 3; do
        port=$(free_port)
        # Nothing here has to survive the machine.
        (cd "$dir" && exec "${as[@]}" "$server" -D "$dir/data" -h 127.0.0.1 -p "$port" -k "$dir" \
            -c fsync=off -c full_page_writes=off -c max_connections=500 \
            -c shared_preload_libraries=pg_stat_statements) >"$dir/log" 2>&1 &
        pid=$!
        # It ends by itself if somebody took the port meanwhile.
        if wait_until 20 _postgres_is_up "$pid" "$dir"; then
            stop_later "$pid"
            export KEEP_POSTGRES_URL=postgres://keep@127.0.0.1:$port/postgres
            return 0
        fi
        kill "$pid" 2>/dev/null || true
    done
    echo "postgres does not start:" >&2
    tail -n 20 "$dir/log" >&2
    return 1
}

# Whether it is this very server that is ready.
_postgres_is_up() {
    kill -0 "$1" || return 1
    grep -q '^ready' "$2/data/postmaster.pid"
}
