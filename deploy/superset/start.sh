#!/bin/bash
# Starts the Superset of the Compose profile `superset`. The first time it sets it up with its examples, which it fetches:
# some minutes.
set -euo pipefail
secrets=${SUPERSET_SECRETS:-/run/secrets}
here=$(dirname "${BASH_SOURCE[0]}")

if [[ ! -e $SUPERSET_HOME/set-up ]]; then
    superset db upgrade
    superset init
    python "$here/account.py" admin Admin <"$secrets/superset_admin_password"
    [[ ${SUPERSET_LOAD_EXAMPLES:-yes} == no ]] || superset load-examples
    python -c 'import json, sys; print(json.load(open(sys.argv[1]))["vitrine"])' "$secrets/superset_passwords" |
        python "$here/account.py" vitrine
    touch "$SUPERSET_HOME/set-up"
fi
exec gunicorn --bind 0.0.0.0:8088 --workers 1 --threads 20 --timeout 120 --limit-request-line 0 --limit-request-field_size 0 \
    'superset.app:create_app()'
