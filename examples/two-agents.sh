#!/bin/sh
# Two agents on one machine: a request and its response, end to end encrypted.
#
# Run with: CTALK=target/debug/ctalk sh examples/two-agents.sh
# (CTALK defaults to the `ctalk` on your PATH.)
set -eu

ctalk=${CTALK:-ctalk}
home=$(mktemp -d)
relay_pid=
trap 'test -z "$relay_pid" || kill "$relay_pid"; rm -rf "$home"' EXIT INT TERM
export CTALK_HOME="$home/agents"

# A relay on a free port; its first line says where it listens. Without a given admin key it makes
# one and keeps it beside its data.
mkfifo "$home/ready"
"$ctalk" relay --listen 127.0.0.1:0 --data "$home/relay" >"$home/ready" 2>"$home/relay.log" &
relay_pid=$!
read -r _ _ url <"$home/ready"

for name in alice bob; do
    "$ctalk" -q --profile "$name" keygen --name "$name" --key-store plain >/dev/null
    "$ctalk" -q --profile "$name" register --relay "$url" --admin-key "@$home/relay/admin.key"
done

echo "what is 6 times 7?" |
    "$ctalk" -q --profile alice send bob --correlation-id sum-1 --topic sums >/dev/null

# Bob answers whatever waits for him.
"$ctalk" -q --profile bob recv
"$ctalk" -q --profile bob send alice 42 --type response --correlation-id sum-1 >/dev/null

"$ctalk" --profile alice recv --json
