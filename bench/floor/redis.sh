#!/usr/bin/env bash
# Measures the CPU time, in µs, that Redis on this machine needs to store a message and to publish
# it to one reader. This is the floor of a cluster. In a quiet cluster each command carries one
# message, and almost all of the cost is the wake-up. In a busy cluster one script has many.
#
#   bench/floor/redis.sh      about twenty seconds; needs redis-server and redis-tools
set -euo pipefail
for program in redis-server redis-cli redis-benchmark; do
    command -v "$program" >/dev/null || {
        echo "$program is missing. To install it: script/bootstrap cluster" >&2
        exit 2
    }
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/confab-floor.XXXXXX")
socket=$folder/socket
port=
processes=()
stop() {
    local process
    for process in "${processes[@]}"; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap stop EXIT

# redis-server accepts no port 0, so random ports are tried until one is free.
configuration=$(dirname "$0")/../../cluster/redis.conf
for _ in $(seq 20); do
    port=$((10000 + (RANDOM * 32768 + RANDOM) % 20000))
    redis-server "$configuration" --bind 127.0.0.1 --port "$port" --unixsocket "$socket" \
        --dir "$folder" >"$folder/log" 2>&1 &
    redis=$!
    processes=("$redis")
    for _ in $(seq 100); do
        [ ! -S "$socket" ] && kill -0 "$redis" 2>/dev/null || break
        sleep 0.1
    done
    [ ! -S "$socket" ] || break
done
[ -S "$socket" ] || { cat "$folder/log" >&2; exit 1; }

# The minimum of every store: check the shard's owner, read the newest number, append the message
# and write the new number.
script='if redis.call("HGET",KEYS[1],"epoch")~="7" then return redis.error_reply("fenced") end
local head=tonumber(redis.call("HGET",KEYS[2],"head") or "0")
for index=1,#ARGV,2 do
    head=head+1
    redis.call("XADD",KEYS[3],head.."-0","u",ARGV[index],"x",ARGV[index+1])
end
redis.call("HSET",KEYS[2],"head",head) '
append_script=${script}'return 0'
publish_script=${script}'redis.call("PUBLISH","mail",ARGV[2]) return 0'
append=$(redis-cli -s "$socket" script load "$append_script")
append_and_publish=$(redis-cli -s "$socket" script load "$publish_script")
content=$(printf 'x%.0s' $(seq 128))

# The arguments of N messages.
messages() { for _ in $(seq "$1"); do printf 'u123 %s ' "$content"; done; }

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$redis/stat"; }

# measure NAME MESSAGES_PER_COMMAND COMMANDS COMMAND...
measure() {
    local name=$1 messages=$(($2 * $3)) commands=$3 before
    shift 3
    before=$(cpu_ticks)
    redis-benchmark -h 127.0.0.1 -p "$port" -n "$commands" -c 1 -q "$@" >/dev/null
    awk -v name="$name" -v ticks=$(($(cpu_ticks) - before)) -v hertz="$(getconf CLK_TCK)" \
        -v messages="$messages" \
        'BEGIN { printf "| %s | %.1f |\n", name, ticks * 1000000 / hertz / messages }'
}

redis-cli -s "$socket" hset lease epoch 7 >/dev/null
keys=(3 lease conv log)
echo '| what | µs of Redis per message |'
echo '|---|---|'
measure 'a command without work (`PING`)' 1 60000 ping
redis-cli -s "$socket" subscribe mail >/dev/null 2>&1 &
processes+=($!)
sleep 0.3
measure 'a message published to one reader' 1 60000 publish mail "$content"
measure 'a script that stores a message' 1 40000 evalsha "$append" "${keys[@]}" u123 "$content"
measure 'a script that stores a message and publishes it to one reader' 1 40000 \
    evalsha "$append_and_publish" "${keys[@]}" u123 "$content"
# shellcheck disable=SC2046
measure 'a script that stores 64 messages of one conversation' 64 2000 \
    evalsha "$append" "${keys[@]}" $(messages 64)
