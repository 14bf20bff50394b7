#!/usr/bin/env bash
# What Redis takes on this machine to keep a message and to tell one reader of it, in µs of its CPU time: the floor under a cluster. One
# message at a time is what a calm cluster has, and all its cost is in waking up; many in one script is what a busy one has.
#
#   bench/floor/redis.sh      about twenty seconds; needs redis-server and redis-tools
set -euo pipefail
for program in redis-server redis-cli redis-benchmark; do
    command -v "$program" >/dev/null || { echo "$program is missing. This installs it: script/bootstrap cluster" >&2; exit 2; }
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/confab-floor.XXXXXX")
socket=$folder/socket
port=
processes=()
finish() {
    for process in "${processes[@]}"; do kill "$process" 2>/dev/null || true; wait "$process" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
for _ in $(seq 20); do
    port=$((10000 + (RANDOM * 32768 + RANDOM) % 20000))
    redis-server "$(dirname "$0")/../../cluster/redis.conf" --bind 127.0.0.1 --port "$port" --unixsocket "$socket" --dir "$folder" >"$folder/log" 2>&1 &
    processes=($!)
    for _ in $(seq 100); do [ ! -S "$socket" ] && kill -0 $! 2>/dev/null || break; sleep 0.1; done
    [ ! -S "$socket" ] || break
done
[ -S "$socket" ] || { cat "$folder/log" >&2; exit 1; }
redis=${processes[0]}
tell() { redis-cli -s "$socket" "$@" >/dev/null; }

# The checks and writes that no store can do without: who owns the shard, how far the conversation is, the message, how far it is then.
script='if redis.call("HGET",KEYS[1],"epoch")~="7" then return redis.error_reply("fenced") end
local head=tonumber(redis.call("HGET",KEYS[2],"head") or "0")
for place=1,#ARGV,2 do head=head+1 redis.call("XADD",KEYS[3],head.."-0","u",ARGV[place],"x",ARGV[place+1]) end
redis.call("HSET",KEYS[2],"head",head) '
append=$(redis-cli -s "$socket" script load "${script}return 0")
announce=$(redis-cli -s "$socket" script load "${script}redis.call('PUBLISH','mail',ARGV[2]) return 0")
content=$(printf 'x%.0s' $(seq 128))
messages() { for _ in $(seq "$1"); do printf 'u123 %s ' "$content"; done; }

ticks() { awk '{ print $14 + $15 }' "/proc/$redis/stat"; }
# measure NAME MESSAGES_PER_COMMAND COMMANDS COMMAND...
measure() {
    local name=$1 each=$2 count=$3 before
    shift 3
    before=$(ticks)
    redis-benchmark -h 127.0.0.1 -p "$port" -n "$count" -c 1 -q "$@" >/dev/null
    awk -v name="$name" -v ticks=$(($(ticks) - before)) -v hertz="$(getconf CLK_TCK)" -v count=$((count * each)) \
        'BEGIN { printf "| %s | %.1f |\n", name, ticks * 1000000 / hertz / count }'
}

tell hset lease epoch 7
echo '| what | µs a message |'
echo '|---|---|'
measure 'a command that does nothing (`PING`)' 1 60000 ping
redis-cli -s "$socket" subscribe mail >/dev/null 2>&1 &
processes+=($!)
sleep 0.3
measure 'a message published to one reader' 1 60000 publish mail "$content"
measure 'a script that keeps a message' 1 40000 evalsha "$append" 3 lease conv log u123 "$content"
measure 'the same, and publishes it to one reader' 1 40000 evalsha "$announce" 3 lease conv log u123 "$content"
# shellcheck disable=SC2046
measure 'a script that keeps 64 messages of one conversation' 64 2000 evalsha "$append" 3 lease conv log $(messages 64)
