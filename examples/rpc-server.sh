#!/bin/sh
# A server for remote calls in ten lines of shell, and somebody who calls it, end to end encrypted.
#
# Run with: CTALK=target/debug/ctalk sh examples/rpc-server.sh
# (CTALK defaults to the `ctalk` on your PATH.)
set -eu

# The server. A call is a message, `METHOD ARGUMENTS`, and comes on stdin; what goes to stdout is its
# answer. Nothing of it becomes part of a command.
if [ "${1-}" = answer ]; then
    read -r method arguments || test -n "$method" # which need not end with a newline
    case $method in
    upper) printf '%s\n' "$arguments" | tr '[:lower:]' '[:upper:]' ;;
    words) printf '%s\n' "$arguments" | wc -w ;;
    whoami) printf '%s\n' "$CTALK_FROM" ;;
    *) exit 64 ;;
    esac
    exit
fi

ctalk=${CTALK:-ctalk}
home=$(mktemp -d)
relay_pid=
server_pid=
trap 'kill $server_pid $relay_pid; wait; rm -rf "$home"' EXIT
trap 'exit 1' INT TERM
export CTALK_HOME="$home/agents"

# A relay on a free port; its first line says where it listens.
mkfifo "$home/ready"
"$ctalk" relay --listen 127.0.0.1:0 --data "$home/relay" >"$home/ready" 2>"$home/relay.log" &
relay_pid=$!
read -r _ _ url <"$home/ready"
for name in server caller; do
    "$ctalk" -q --profile "$name" keygen --name "$name" --key-store plain >/dev/null
    "$ctalk" -q --profile "$name" register --relay "$url" --admin-key "@$home/relay/admin.key" >/dev/null
done

"$ctalk" -q --profile server recv --follow --exec "sh '$0' answer" --reply &
server_pid=$!

"$ctalk" -q --profile caller call server "upper is anybody there?"
"$ctalk" -q --profile caller call server "words one two three"
"$ctalk" -q --profile caller call server "whoami"
# What the server does not know is a failure here, too.
failed=0
"$ctalk" -q --profile caller call server "reboot" || failed=$?
test $failed = 11
