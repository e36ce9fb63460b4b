#!/bin/bash
# Makes the secrets of deploy/compose.yml that are not there yet, in the folder given, else in that of DEPLOY_SECRETS (from
# the environment or deploy/.env, relative to deploy/), else in deploy/secrets:
#
#   secret_key          signs log-ins and the renderer's sign-in
#   database_password   PostgreSQL's; metadata_url has it in place
#   broker_url          with RabbitMQ's password; rabbitmq.conf gives the same to RabbitMQ
#   demo_password       of the people of the demo; grafana_password, of Grafana's admin
#   alert_receivers.yml to whom Alertmanager sends alerts; as it is made, to nobody (docs/operations.md)
#   superset_…          of the Superset to try it with: its key, its admin's password, the password of who reads it for us
#
# The folder is closed to others; the files in it are readable, as the containers' users are not the machine's.
# To change a password, change it in the server first. Prints nothing secret.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
folder=${1:-}
if [[ -z $folder ]]; then
    told=${DEPLOY_SECRETS:-$([[ ! -e $here/.env ]] || sed -n 's/^DEPLOY_SECRETS=//p' "$here/.env" | tail -n 1)}
    folder=${told:-./secrets}
    [[ $folder == /* ]] || folder=$here/$folder
fi
umask 022
mkdir -p -m 700 "$folder"

random() { # random BYTES, in hexadecimal: fit for URLs and configuration files as it is
    od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

make() { # make NAME VALUE, unless it is there
    [[ -s $folder/$1 ]] && return
    printf '%s\n' "$2" >"$folder/.new" && mv "$folder/.new" "$folder/$1" && echo "made $folder/$1"
}

make secret_key "$(random 32)"
make database_password "$(random 16)"
make demo_password "$(random 8)"
make grafana_password "$(random 8)"
make alert_receivers.yml "# To whom alerts go, as docs/operations.md explains. These two receivers send nothing to anybody.
receivers:
  - name: critical
  - name: warning"
make superset_secret_key "$(random 32)"
make superset_admin_password "$(random 8)"
make superset_passwords "{\"vitrine\": \"$(random 16)\"}"
make metadata_url "postgresql://vitrine:$(<"$folder/database_password")@postgres:5432/vitrine"
make broker_url "amqp://vitrine:$(random 16)@rabbitmq:5672/vitrine"
password=$(sed -E 's|^amqps?://[^:]*:([^@]*)@.*|\1|' "$folder/broker_url")
make rabbitmq.conf "default_user = vitrine
default_pass = $password
default_vhost = vitrine"
