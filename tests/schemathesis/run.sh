#!/usr/bin/env bash
# Schemathesis against the description that each face of License Central serves of itself.
# run.sh BINARY FOLDER: the server, and where the tool and its reports go. Fails on any answer that the
# description does not have, and on any status 500.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
server=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
# The tool keeps what it found in the folder that it runs in.
cd "$work"
checks=not_a_server_error,status_code_conformance,content_type_conformance
checks+=,response_schema_conformance,response_headers_conformance,negative_data_rejection
checks+=,unsupported_method,allow_header_conformance

if ! cmp -s "$here/requirements.txt" "$work/installed.txt"; then
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --require-hashes --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$work/installed.txt"
fi

data=$(mktemp -d)
chmod go-w "$data"
"$server" init --data "$data/central" --vendor acme --name Acme --test >/dev/null
"$server" serve --data "$data/central" --sales 127.0.0.1:0 --gateway 127.0.0.1:0 \
    --admin 127.0.0.1:0 --key-rate 600000 --json >"$data/addresses" 2>"$work/server.log" &
pid=$!
trap 'kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -rf "$data"' EXIT
until [ -s "$data/addresses" ]; do
    kill -0 "$pid"
    sleep 0.1
done

key=$(<"$data/central/owner.key")
failed=0
for face in sales gateway admin; do
    url=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["data"][sys.argv[2]])' \
        "$data/addresses" "$face")
    "$work/venv/bin/st" run "$url/openapi.json" --url "$url" --checks "$checks" \
        --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-25}" \
        --seed "${STRONGROOM_SEED:-1}" --header "Authorization: Bearer $key" \
        >"$work/$face.txt" 2>&1 || { failed=1; cat "$work/$face.txt"; }
    sed -n "s/^ *\([0-9]* generated.*\)/figure: schemathesis, $face: \1/p" "$work/$face.txt"
done
if grep -q '"status":500' "$work/server.log"; then
    echo 'the server failed at a request:'
    grep '"status":500' "$work/server.log"
    failed=1
fi
exit "$failed"
