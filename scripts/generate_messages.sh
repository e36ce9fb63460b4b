#!/bin/sh
# Generates shared/messages/vitrine/v1/*_pb2.py(i) from proto/. With an argument: into that folder (the staleness test uses it).
set -eu
cd "$(dirname "$0")/.."
out=${1:-shared/messages}
mkdir -p "$out"
${PYTHON:-.venv/bin/python} -m grpc_tools.protoc -Iproto --python_out="$out" --pyi_out="$out" proto/vitrine/v1/*.proto
