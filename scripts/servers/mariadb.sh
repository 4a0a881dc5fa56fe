# start_mariadb: exports KEEP_MARIADB_URL. To be sourced by bash, see lib.sh.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_mariadb() {
    if [[ -n ${KEEP_MARIADB_URL:-} ]]; then
        return 0
    fi
    local server install dir port pid try as=()
    server=$(find_or_install mariadb-server mariadbd)
    install=$(find_or_install mariadb-server mariadb-install-db)
    server_dir mariadb
    dir=$REPLY
    if [[ $(id -u) == 0 ]]; then
        # It does not run as root.
        chown mysql "$dir"
        as=(setpriv --reuid=mysql --regid=mysql --init-groups)
    fi
    (cd "$dir" && exec "${as[@]}" "$install" --no-defaults --datadir="$dir/data" \
        --skip-test-db --auth-root-authentication-method=normal) >"$dir/install.log" 2>&1 || {
        echo "mariadb-install-db fails:" >&2
        tail -n 20 "$dir/install.log" >&2
        return 1
    }
    cat >"$dir/init.sql" <<'SQL'
CREATE DATABASE IF NOT EXISTS keep;
CREATE USER IF NOT EXISTS keep@'127.0.0.1';
GRANT ALL ON *.* TO keep@'127.0.0.1';
SQL
    chmod 644 "$dir/init.sql"
    for try in 1 2 3; do
        port=$(free_port)
        # Nothing here has to survive the machine.
        (cd "$dir" && exec "${as[@]}" "$server" --no-defaults --datadir="$dir/data" \
            --bind-address=127.0.0.1 --port="$port" --socket="$dir/socket" --pid-file="$dir/pid" \
            --skip-name-resolve --max-connections=500 --innodb-flush-log-at-trx-commit=0 \
            --init-file="$dir/init.sql") >"$dir/log" 2>&1 &
        pid=$!
        # It ends by itself if somebody took the port meanwhile.
        if wait_until 30 _mariadb_is_up "$pid" "$dir"; then
            stop_later "$pid"
            export KEEP_MARIADB_URL=mysql://keep@127.0.0.1:$port/keep
            return 0
        fi
        kill "$pid" 2>/dev/null || true
    done
    echo "mariadbd does not start:" >&2
    tail -n 20 "$dir/log" >&2
    return 1
}

# Whether it is this very server that is ready.
_mariadb_is_up() {
    kill -0 "$1" || return 1
    grep -q 'ready for connections' "$2/log"
}
