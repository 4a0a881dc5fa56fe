#!/usr/bin/env bash
# Runs every test of the workspace: unit, integration and documentation tests, with all features,
# on the servers that it starts for them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'USAGE'
usage: ./test.sh [--nightly [MINUTES]]

Runs every test, on servers that it starts on loopback and stops again. Where the packages of a
server are missing it installs them, on Debian or Ubuntu as root, or says what is missing. A server
that is named already (KEEP_REDIS_URL, ...) is used instead.

  --nightly [MINUTES]  heavy campaigns: tests that can be made larger take about MINUTES
                       minutes each (default 30), all of them optimised, and each fuzzer as
                       long, where there are cargo-fuzz and a nightly compiler. Tests see
                       KEEP_HEAVY=1 and KEEP_TEST_MINUTES=MINUTES.
  --help               this text

The complete output is kept in test.log in the target directory.
USAGE
}

# How many seeds of the simulation the short run plays, and how many operations its campaigns do on
# each store.
seeds=100000 operations=100000

read_options() {
    while (($#)); do
        case $1 in
            --nightly)
                export KEEP_HEAVY=1 KEEP_TEST_MINUTES=30
                if [[ ${2:-} =~ ^[1-9][0-9]*$ ]]; then
                    KEEP_TEST_MINUTES=$2
                    shift
                fi
                ;;
            --help)
                usage
                exit 0
                ;;
            *)
                echo "test.sh: unknown option '$1'" >&2
                usage >&2
                exit 2
                ;;
        esac
        shift
    done
}

# Each has a file and a function start_NAME, see scripts/servers/lib.sh; they stop with this shell.
servers=(redis postgres mariadb pgbouncer chromium)

start_servers() {
    local server
    for server in "${servers[@]}"; do
        # shellcheck source=/dev/null
        source "scripts/servers/$server.sh"
        "start_$server"
    done
}

run_tests() {
    echo "test.sh: cargo test --workspace --all-features${KEEP_HEAVY:+ (heavy, $KEEP_TEST_MINUTES minutes)}"
    run_to_end cargo_test
}

# Campaigns are of the profile of that name: in a short run the simulation and the campaigns of the
# stores, in a heavy one everything. There the simulation is among the tests of its crate.
cargo_test() {
    local test=(cargo test)
    [[ -z ${KEEP_HEAVY:-} ]] || test+=(--profile campaign)
    # What is said of a feature that is not there can only be heard without it.
    {
        "${test[@]}" --workspace --exclude tower-keep-browser --all-features --no-fail-fast &&
            # Its client of the driver has JSON objects keep their order in all that is built beside it.
            "${test[@]}" --package tower-keep-browser --no-fail-fast &&
            "${test[@]}" --package tower-keep-core --test body &&
            "${test[@]}" --package tower-keep --features config --test config --test config_keys &&
            cargo test --locked --manifest-path tests/bridge-stores/Cargo.toml --no-fail-fast &&
            cargo test --locked --manifest-path tests/threads/Cargo.toml --no-fail-fast &&
            if [[ -n ${KEEP_HEAVY:-} ]]; then
                "${test[@]}" --workspace --exclude tower-keep-browser --all-features --test campaign -- --ignored &&
                    scripts/fuzz "$KEEP_TEST_MINUTES"
            else
                KEEP_SEEDS=$seeds cargo test --profile campaign --package tower-keep --lib simulation -- --nocapture &&
                    campaigns
            fi
    } 2>&1 | tee "$log"
}

# Each alone, for they live on what goes wrong in time.
campaigns() {
    KEEP_OPERATIONS=$operations cargo test --profile campaign --package tower-keep-campaign --package tower-keep-file \
        --package tower-keep-redis --package tower-keep-sqlx --all-features --test memory --test campaign \
        -- --include-ignored --nocapture --test-threads=1
}

# A green run that ran nothing (a filter, a lost `#[test]`, an empty workspace) is a failure.
count_tests() {
    awk '
        /^test result: / {
            for (i = 2; i <= NF; i++) {
                if ($i == "passed;") passed += $(i - 1)
                if ($i == "failed;") failed += $(i - 1)
                if ($i == "ignored;") ignored += $(i - 1)
            }
        }
        END {
            printf "tests: %d passed, %d failed, %d skipped\n", passed, failed, ignored
            exit passed == 0
        }
    ' "$log" || {
        echo "test.sh: no test ran" >&2
        return 1
    }
}

read_options "$@"
[[ -z ${KEEP_HEAVY:-} ]] || export KEEP_TEST_MINUTES=${KEEP_TEST_MINUTES:-30}
# One for all workspaces, so that what they share is compiled once.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
log=$CARGO_TARGET_DIR/test.log
mkdir -p "$(dirname "$log")"

start_servers
status=0
run_tests || status=$?
count_tests || status=1
exit "$status"
