#!/bin/sh
# An encrypted pipe between two identities: what goes in at one end comes out at the other, signed by one
# and readable for the other alone, in constant memory and without a relay. Between the two may be
# anything that carries bytes, such as `ssh`, a FIFO or `nc`.
#
# Run with: CTALK=target/debug/ctalk sh examples/encrypted-pipe.sh
# (CTALK defaults to the `ctalk` on your PATH.)
set -eu

ctalk=${CTALK:-ctalk}
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
trap 'exit 1' INT TERM
export CTALK_HOME="$home/agents"

# Each has keys, and the other's card.
for name in alice bob; do
    "$ctalk" -q --profile "$name" keygen --name "$name" --key-store plain >/dev/null
    "$ctalk" -q --profile "$name" card >"$home/$name.card"
done

# Every part of it is verified before it comes out; where something is amiss in the middle, the pipe ends
# with what came before it, and `open` fails.
last=$(
    seq 1000000 |
        "$ctalk" -q --profile alice seal --to "$home/bob.card" |
        "$ctalk" -q --profile bob open --from "$home/alice.card" |
        tail -n 1
)
echo "the last of the lines: $last"
test "$last" = 1000000
