#!/bin/bash
# Replaces the containers of deploy/compose.yml one by one, without a failed request: a new one is started and healthy
# before an old one is asked to end, and that one finishes what it has in hand.
#
#   DEPLOY_TAG=0.2.0 deploy/roll.sh [SERVICE…]      default: renderer api scheduler, in that order (docs/deploy.md)
#
# Environment and files are those of `docker compose`; images must be there already (built or pulled).
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

compose() { (cd "$here" && docker compose "$@"); } # which finds compose.override.yml as well

roll() {
    local service=$1 old id
    mapfile -t old < <(compose ps -q "$service")
    ((${#old[@]})) || { echo "roll: no container of $service runs" >&2; return 1; }
    for id in "${old[@]}"; do
        compose up -d --no-deps --no-build --no-recreate --wait --scale "$service=$((${#old[@]} + 1))" "$service"
        docker stop "$id" >/dev/null # waits as long as the service's stop_grace_period says
        docker rm "$id" >/dev/null
        echo "roll: replaced one of ${#old[@]} of $service"
    done
}

(($#)) || set -- renderer api scheduler
for service in "$@"; do roll "$service"; done
