# start_redis: exports KEEP_REDIS_URL. To be sourced by bash, see lib.sh.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_redis() {
    if [[ -n ${KEEP_REDIS_URL:-} ]]; then
        return 0
    fi
    local server dir port pid try
    server=$(find_or_install redis-server redis-server)
    server_dir redis
    dir=$REPLY
    for try in 1 2 3; do
        port=$(free_port)
        "$server" --bind 127.0.0.1 --port "$port" --dir "$dir" --save '' --appendonly no \
            --maxmemory-policy noeviction >"$dir/log" 2>&1 &
        pid=$!
        # It ends by itself if somebody took the port meanwhile.
        if wait_until 10 _redis_is_up "$pid" "$port"; then
            stop_later "$pid"
            export KEEP_REDIS_URL=redis://127.0.0.1:$port/
            return 0
        fi
        kill "$pid" 2>/dev/null || true
    done
    echo "redis-server does not start:" >&2
    tail -n 20 "$dir/log" >&2
    return 1
}

# Whether it is this very server that answers, and not one that took the port first.
_redis_is_up() {
    local answer
    kill -0 "$1" || return 1
    exec 3<>"/dev/tcp/127.0.0.1/$2" || return 1
    printf 'INFO server\r\nQUIT\r\n' >&3
    answer=$(cat <&3)
    exec 3>&-
    [[ $answer == *"process_id:$1"* ]]
}
