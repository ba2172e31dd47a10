# SPDX-License-Identifier: Apache-2.0
#
# What a machine needs to build Daybook and to test it. Sourced by tests/run.sh, tests/bench/run.sh
# and examples/quickstart.sh, in the project's top folder with build/ made.

build_packages="gcc libc6-dev cmake ninja-build pkg-config libsqlite3-dev libcjson-dev libzstd-dev
libcurl4-openssl-dev libssl-dev libevent-dev"
test_packages="tzdata g++ clang libclang-rt-dev ccache mold python3 doxygen sqlite3
openssl libcmocka-dev"

# Prints those of the packages that are not installed.
missing_packages() {
    for package in $1; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=""
        [ "$state" = installed ] || printf ' %s' "$package"
    done
}

# Installs what is missing, or says why it cannot. Arguments: packages; yes, or no to print the apt
# line and stop.
install_packages() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        echo "No dpkg here: the tools and libraries of CONTRIBUTING.md must be there already."
        return 0
    fi
    missing=$(missing_packages "$1")
    [ -n "$missing" ] || return 0
    line="apt-get install -y --no-install-recommends$missing"
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo "
    echo "$as_root$line"
    [ "$2" = yes ] || exit 1
    if [ -n "$as_root" ] && ! command -v sudo >/dev/null 2>&1; then
        echo "neither root nor sudo; run the line above as root" >&2
        exit 1
    fi
    # Without package lists (a fresh container) or with old ones the first try fails.
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    # shellcheck disable=SC2086
    ${as_root}$line >build/apt.log 2>&1 || { ${as_root}apt-get update >>build/apt.log 2>&1 &&
        ${as_root}$line >>build/apt.log 2>&1; } || {
        tail -n 20 build/apt.log >&2
        echo "apt could not install the packages" >&2
        exit 1
    }
}
