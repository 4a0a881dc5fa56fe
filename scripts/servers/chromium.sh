# start_chromium: exports KEEP_CHROMEDRIVER, the program that drives Chromium. Nothing runs before a
# test starts it: each has a driver and a browser of its own. To be sourced by bash, see lib.sh.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start_chromium() {
    if [[ -n ${KEEP_CHROMEDRIVER:-} ]]; then
        return 0
    fi
    # The driver's package brings the browser.
    KEEP_CHROMEDRIVER=$(find_or_install chromium-driver chromedriver) || return 1
    export KEEP_CHROMEDRIVER
}
