#!/usr/bin/env bash
# Test the web page in a real browser: `bash tests/browser.sh [pytest arguments]`.
#
# The browser is the system's Chromium (on Debian: apt install chromium), or the one that NMT_BROWSER names, or else the one
# that `playwright install chromium` has brought. With --browser-or-nothing a machine without one is no error.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../recipes/environment.sh"

if [ "${1:-}" = --browser-or-nothing ]; then
    shift
    if ! command -v "${NMT_BROWSER:-chromium}" chromium-browser google-chrome >/dev/null; then
        say "no Chromium: the tests of the web page in a browser are left out"
        exit
    fi
fi
use_environment browser
cd "$PROJECT"
export PYTHONSAFEPATH=1 # the source tree has no built engine in it
exec python -m pytest tests/browser "$@"
