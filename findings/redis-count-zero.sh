#!/usr/bin/env bash
# Redis 7.0.15 (Debian 12), streams: COUNT 0 and a negative COUNT mean the opposite in XRANGE and
# XREAD. XRANGE and XREVRANGE return null; XREAD and XREADGROUP return all entries. XPENDING returns
# an empty list, XAUTOCLAIM an error.
# One would expect one meaning, or an error, for one option of one data type. A page whose size is
# computed (wanted - found) is empty with one command and the whole stream with another. And null
# surprises a client that takes XRANGE's answer for a list, as it is for a missing key.
#
# Cause: in XREAD 0 stands for "without COUNT", and a negative number is replaced by 0. XRANGE knows
# "without COUNT" as another number, and returns null for 0 and for what it replaces by 0.
#
# Output seen (a stream of 2 entries):
#   XRANGE stream - + COUNT 0: (nil)
#   XRANGE stream - + COUNT -5: (nil)
#   XREVRANGE stream + - COUNT 0: (nil)
#   XREAD COUNT 0 STREAMS stream 0: 2 entries
#   XREAD COUNT -5 STREAMS stream 0: 2 entries
#   XREADGROUP GROUP group one COUNT 0 STREAMS stream >: 2 entries
#   XPENDING stream group - + 0: (empty array)
#   XAUTOCLAIM stream group two 0 0 COUNT 0: (error) ERR COUNT must be > 0
#   XRANGE missing - + COUNT 0: (empty array)
set -euo pipefail
version=7.0.15
if [[ $(redis-server --version) != *"v=$version "* ]]; then
    echo "install redis-server and redis-tools $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
redis-server --port 0 --unixsocket "$folder/socket" --save "" --dir "$folder" > "$folder/log" &
server=$!
trap 'kill "$server"; wait "$server" || true; rm -rf "$folder"' EXIT
call() { redis-cli --no-raw -s "$folder/socket" "$@"; }
for _ in {1..100}; do
    [[ -S $folder/socket ]] && break
    sleep 0.05
done
call XADD stream 1-0 text hello > "$folder/log"
call XADD stream 2-0 text world > "$folder/log"
call XGROUP CREATE stream group 0 > "$folder/log"

expect() {
    local expected=$1 answer
    shift
    answer=$(call "$@")
    if [[ $answer == *'"1-0"'*'"hello"'*'"2-0"'*'"world"'* ]]; then answer="2 entries"; fi
    echo "$*: $answer"
    [[ $answer == "$expected" ]]
}
expect "(nil)" XRANGE stream - + COUNT 0
expect "(nil)" XRANGE stream - + COUNT -5
expect "(nil)" XREVRANGE stream + - COUNT 0
expect "2 entries" XREAD COUNT 0 STREAMS stream 0
expect "2 entries" XREAD COUNT -5 STREAMS stream 0
expect "2 entries" XREADGROUP GROUP group one COUNT 0 STREAMS stream ">"
expect "(empty array)" XPENDING stream group - + 0
expect "(error) ERR COUNT must be > 0" XAUTOCLAIM stream group two 0 0 COUNT 0
expect "(empty array)" XRANGE missing - + COUNT 0
