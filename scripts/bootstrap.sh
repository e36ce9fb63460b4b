#!/bin/bash
# Finds or installs what the recipes of the Makefile need. Every part may be run again: what is there is left alone.
#
#   venv [PYTHON]      .venv from requirements.lock, with the project in it, editable; and `parser`
#   parser             gunicorn's HTTP parser in C, where a C compiler and Python.h are; without it one in Python serves
#   find-chromium      prints the path of the browser we would use; fails with one line when there is none
#   chromium           the same, and as root installs one (with fonts) when there is none
#   system [bench]     the servers, the browser and the fonts of the tests [and the peers of the benchmarks]
#
# BOOTSTRAP_DRY_RUN=1 prints the installing commands instead of running them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'bootstrap: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
run() { if [[ -n ${BOOTSTRAP_DRY_RUN:-} ]]; then say "would run: $*"; else "$@"; fi; }
has() { PATH=$PATH:/usr/sbin:/sbin type -P "$1" >/dev/null; } # type -P: programs only, never a function of ours
exists() { compgen -G "$1" >/dev/null; }

# --- system packages --------------------------------------------------------------------------------------------------

can_install() { [[ $EUID -eq 0 ]] && has apt-get; }

# apt_install PACKAGE...: as root; the services of the packages are not started.
apt_install() {
    has apt-get || die "missing: $*; this is no Debian: install them with your own package manager"
    [[ $EUID -eq 0 ]] || die "missing: $*; as root: apt-get install --no-install-recommends $*"
    say "installing $* (apt-get)"
    run forbid_services
    exists '/var/lib/apt/lists/*_Packages*' || apt_get update
    apt_get install --no-install-recommends "$@" ||
        { apt_get update && apt_get install --no-install-recommends "$@"; } ||
        die "apt-get could not install $*"
    run allow_services
}

# apt_get ACTION OPTION...: unattended, patient with locks and mirrors, silent unless it fails.
apt_get() {
    local log
    log=$(mktemp)
    if ! DEBIAN_FRONTEND=noninteractive run apt-get -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io "$@" </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    [[ -z ${BOOTSTRAP_DRY_RUN:-} ]] || cat "$log" >&2
    rm -f "$log"
}

# Debian's packages ask this file whether they may start their services. An administrator's own file is left as it is.
policy=/usr/sbin/policy-rc.d
forbid_services() {
    [[ -e $policy ]] && return
    trap allow_services EXIT
    printf '#!/bin/sh\n# written by bootstrap.sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}
allow_services() {
    if grep -qs 'written by bootstrap.sh' "$policy"; then rm -f "$policy"; fi
}

ensure_system() {
    local missing=() chosen=()
    need() { # need WHAT FOUND PACKAGE...
        if [[ $2 == yes ]]; then chosen+=("$1"); else missing+=("${@:3}"); fi
    }
    is() { if "$@"; then echo yes; else echo no; fi; }
    need rabbitmq "$(is exists '/usr/lib/rabbitmq/bin/rabbitmq-server')" rabbitmq-server
    need memcached "$(is has memcached)" memcached
    need redis "$(is has redis-server)" redis-server
    need postgresql "$(is exists '/usr/lib/postgresql/*/bin/initdb')" postgresql
    need mariadb "$(is has mariadbd)" mariadb-server-core mariadb-client-core
    need promtool "$(is has promtool)" prometheus
    need alertmanager "$(is has amtool)" prometheus-alertmanager
    need nginx "$(is has nginx)" nginx-light
    need systemd "$(is has systemd-analyze)" systemd
    need sqlite3 "$(is has sqlite3)" sqlite3
    need webgl "$(is exists '/usr/share/vulkan/icd.d/lvp_icd*.json')" mesa-vulkan-drivers
    need libfaketime "$(is exists '/usr/lib/*/faketime/libfaketimeMT.so.1')" libfaketime
    if can_install; then need fonts "$(is has_fonts)" "${fonts[@]}"; fi # wanted, not required
    if [[ ${1:-} == bench ]]; then
        need compiler "$(is has cc)" gcc libc6-dev python3-dev
        need wrk "$(is has wrk)" wrk
    fi
    find_chromium >/dev/null || missing+=(chromium-headless-shell)
    if ((${#missing[@]})); then apt_install "${missing[@]}"; fi
    ensure_kubectl
    local browser
    browser=$(find_chromium) || die "$no_chromium"
    say "found ${chosen[*]:-nothing}; installed ${missing[*]:-nothing}; Chromium is $browser"
}

# ensure_kubectl: an installed one, else one of its own in .venv; it reads manifests only, no cluster is there.
ensure_kubectl() {
    if has kubectl || [[ -x .venv/bin/kubectl || ! -x .venv/bin/python ]]; then return; fi
    say "installing kubectl into .venv"
    run .venv/bin/python scripts/kubectl.py || die "kubectl could not be installed: install kubectl 1.21 or newer"
}

# --- the browser ------------------------------------------------------------------------------------------------------

fonts=(fonts-liberation fonts-dejavu-core fonts-noto-color-emoji)

has_fonts() {
    exists '/usr/share/fonts/truetype/liberation*' && exists '/usr/share/fonts/truetype/dejavu' &&
        exists '/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf'
}

# find_chromium: $VITRINE_CHROMIUM, an installed one (the headless shell first: it is the fastest), Playwright's own.
find_chromium() {
    if [[ -n ${VITRINE_CHROMIUM:-} ]]; then
        [[ -x $VITRINE_CHROMIUM ]] || die "VITRINE_CHROMIUM is $VITRINE_CHROMIUM, which is no program"
        echo "$VITRINE_CHROMIUM"
        return
    fi
    local name path
    for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
        if path=$(type -P "$name"); then
            echo "$path"
            return
        fi
    done
    local playwright=${PLAYWRIGHT_BROWSERS_PATH:-${HOME:-}/.cache/ms-playwright}
    for name in chromium_headless_shell-*/*/headless_shell chromium_headless_shell-*/*/chrome-headless-shell chromium-*/*/chrome; do
        if path=$(compgen -G "$playwright/$name" | sort -V | tail -n 1) && [[ -x $path ]]; then
            echo "$path"
            return
        fi
    done
    return 1
}

no_chromium="no Chromium: as root, apt-get install chromium-headless-shell (or make demo); \
otherwise .venv/bin/playwright install chromium-headless-shell, or set VITRINE_CHROMIUM"

ensure_chromium() {
    if ! find_chromium >/dev/null; then
        can_install || die "$no_chromium"
        apt_install chromium-headless-shell "${fonts[@]}"
    fi
    local path
    path=$(find_chromium) || die "$no_chromium"
    say "Chromium is $path"
}

# --- the virtual environment ------------------------------------------------------------------------------------------

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name
    for name in ${1:+"$1"} python3 python3.14 python3.13 python3.12 python3.11; do
        if is_new_enough "$name"; then
            type -P "$name"
            return
        fi
    done
    return 1
}

ensure_venv() {
    local python
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        python=$(find_python "${1:-}") || die "no Python 3.11 or newer: install one (Debian 12: apt-get install python3-venv)"
        if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            apt_install python3-venv
            "$python" -c 'import ensurepip, venv' || die "$python cannot make virtual environments: install its venv module"
        fi
        say "making .venv with $python ($("$python" -V))"
        run "$python" -m venv --clear .venv
    fi
    say "installing $(grep -c '^[a-zA-Z].*==' requirements.lock) locked packages into .venv"
    run .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r requirements.lock
    run .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation --editable .
    ensure_parser
}

# ensure_parser: it has no wheels, so it is built here, with the setuptools of the lock. Nothing fails without it.
ensure_parser() {
    .venv/bin/python -c 'import gunicorn_h1c' 2>/dev/null && return
    local why header log
    header=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")')
    if ! has cc; then
        why="no C compiler"
    elif [[ ! -e $header ]]; then
        why="no $header"
    else
        log=$(mktemp)
        if run .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps \
            --no-build-isolation --require-hashes -r requirements-fast.lock >"$log" 2>&1; then
            say "built gunicorn's HTTP parser in C"
        else
            why="it could not be built: $(tail -n 1 "$log")"
        fi
        rm -f "$log"
    fi
    [[ -z ${why:-} ]] || say "the gateway parses HTTP in Python, somewhat slower: $why (Debian: gcc python3-dev)"
}

case ${1:-} in
    venv) ensure_venv "${2:-}" ;;
    parser) ensure_parser ;;
    find-chromium) find_chromium || die "$no_chromium" ;;
    chromium) ensure_chromium ;;
    system) ensure_system "${2:-}" ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
