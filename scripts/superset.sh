#!/bin/bash
# Installs the Superset of the tests (tests/superset/requirements.lock) with its bundled examples into a folder of its
# own in the user's cache, once, and prints that folder: venv/ is the program, home/ its databases. About six minutes
# the first time; the folder's name follows from the lock file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'superset: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

layout=1 # raise it when what stands in the folder changes
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vitrine
folder=$cache/superset-$layout-$(sha256sum <tests/superset/requirements.lock | cut -c1-12)
log=$folder/install.log

quietly() { "$@" >>"$log" 2>&1 </dev/null || { tail -n 30 "$log" >&2; die "failed: $*; the whole log is $log"; }; }

superset() {
    local home=$folder/home
    SUPERSET_HOME=$home SUPERSET_SECRET_KEY=of-the-tests-and-of-nothing-else SUPERSET_CONFIG_PATH=$PWD/tests/superset/superset_config.py \
        FLASK_APP=superset HOME=$home quietly "$folder/venv/bin/superset" "$@"
}

find_python() { # Superset 6.1 runs on 3.10 to 3.12
    local name
    for name in python3.11 python3.12 python3; do
        if "$name" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            type -P "$name"
            return
        fi
    done
    die "no Python 3.10 to 3.12 for Superset: install one (Debian 12: apt-get install python3 python3-venv)"
}

mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9 # a second caller waits for the first
if [[ ! -e $folder/complete ]]; then
    python=$(find_python)
    say "installing Superset and its examples into $folder; this takes some minutes"
    rm -rf "$folder/venv" "$folder/home" "$log"
    mkdir -p "$folder/home"
    quietly "$python" -m venv "$folder/venv"
    quietly "$folder/venv/bin/python" -m pip install --disable-pip-version-check --no-deps -r tests/superset/requirements.lock
    say "installed; loading the examples"
    superset db upgrade
    superset fab create-admin --username admin --firstname Ada --lastname Admin --email admin@example.org --password admin
    superset init
    superset load-examples
    rm -rf "$folder/home/cache"
    touch "$folder/complete"
fi
if ! cmp -s tests/superset/flower.lock "$folder/flower.lock"; then # another web application, for the pages catalog
    quietly "$folder/venv/bin/python" -m pip install --disable-pip-version-check --no-deps -r tests/superset/flower.lock
    cp tests/superset/flower.lock "$folder/flower.lock"
fi
printf '%s\n' "$folder"
