# What the scripts that start servers for the tests share. To be sourced, by bash with `set -euo pipefail`.
#
# Interface of scripts/servers/NAME.sh, which sources this file: a function `start_NAME` that exports
# KEEP_NAME_URL. If that variable is set already, the server it names is used and none is started.
# A caller sources the files it needs, calls `start_NAME`, and everything that was started is stopped,
# and its directory removed, when the calling shell exits, also after a failure or Ctrl-C. What takes
# long should run by `run_to_end`, so that a signal does not wait for it.

if [[ -n ${KEEP_SERVERS_LIB:-} ]]; then
    return 0
fi
KEEP_SERVERS_LIB=1

keep_running=
keep_server_dir=

# find_or_install PACKAGE BINARY: prints the path of BINARY, after installing the Debian package
# PACKAGE if need be and possible.
find_or_install() {
    local package=$1 binary=$2 found
    if ! found=$(_find_binary "$binary"); then
        if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
            echo "$binary is missing: install it (package $package on Debian and Ubuntu) and run this again" >&2
            return 1
        fi
        echo "installing $package for $binary" >&2
        # A server that the package would start by itself is of no use here.
        _apt_install "$package" >&2 || {
            echo "$package could not be installed, and $binary is missing" >&2
            return 1
        }
        found=$(_find_binary "$binary") || {
            echo "$package was installed and has no $binary" >&2
            return 1
        }
    fi
    printf '%s\n' "$found"
}

# Also where Debian keeps the binaries of servers that it does not put on the PATH.
_find_binary() {
    command -v "$1" && return 0
    local candidate
    for candidate in /usr/sbin/"$1" /usr/lib/postgresql/*/bin/"$1"; do
        if [[ -x $candidate ]]; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

_apt_install() {
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get install -y -q --no-install-recommends "$1" ||
        { apt-get update -q && apt-get install -y -q --no-install-recommends "$1"; }
}

# free_port: prints a TCP port of the loopback interface that nothing listens on right now. Another
# process may take it before the server does, so `start_NAME` tries again with another one then.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s\n' "$port"
            return 0
        fi
    done
}

# server_dir NAME: makes a directory for the server NAME below one temporary directory of this run
# and puts its path into the variable REPLY. Not to be called in a subshell.
server_dir() {
    if [[ -z $keep_server_dir ]]; then
        keep_server_dir=$(mktemp -d "${TMPDIR:-/tmp}/keep-servers.XXXXXX")
        # Servers that refuse to run as root must be able to enter it.
        chmod 755 "$keep_server_dir"
        _stop_on_exit
    fi
    REPLY=$keep_server_dir/$1
    mkdir -p "$REPLY"
}

# stop_later PID: have this process stopped when the shell exits, as every other that it has in the
# background. Not to be called in a subshell.
stop_later() {
    _stop_on_exit
}

# run_to_end COMMAND...: runs it and returns its status; it is ended when the shell exits. Bash would
# put off its traps until a command in the foreground ends, and a command in the background ignores
# Ctrl-C, so it gets a process group of its own. Not to be called in a subshell.
run_to_end() {
    local status=0
    _stop_on_exit
    set -m
    "$@" </dev/null &
    set +m
    keep_running=$!
    wait "$keep_running" || status=$?
    keep_running=
    return "$status"
}

_stop_on_exit() {
    trap stop_servers EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# stop_servers: ends what runs, stops the servers, also one that is just starting, and removes their
# directory.
stop_servers() {
    local i pid tries pids
    # A second Ctrl-C must not leave any of them.
    trap '' INT TERM HUP
    if [[ -n $keep_running ]]; then
        kill -INT -- "-$keep_running" 2>/dev/null || true
        keep_running=
    fi
    mapfile -t pids < <(jobs -p)
    # The last one first: PostgreSQL waits for PgBouncer's connections.
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        pid=${pids[i]}
        kill -TERM "$pid" 2>/dev/null || continue
        for ((tries = 0; tries < 100; tries++)); do
            kill -0 "$pid" 2>/dev/null || continue 2
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
    if [[ -n $keep_server_dir ]]; then
        rm -rf "$keep_server_dir"
        keep_server_dir=
    fi
}

# wait_until SECONDS COMMAND...: repeats the command until it succeeds.
wait_until() {
    local tries=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        ((tries-- > 0)) || return 1
        sleep 0.1
    done
}
