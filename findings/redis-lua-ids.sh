#!/usr/bin/env bash
# Redis 7.0.15 (Debian 12), a script in Lua: an integer of 15 or 16 digits, such as a time in
# microseconds, is exact as an argument of redis.call and as the script's answer, but only its first
# 14 digits are in a text: "name:" .. id, tostring(id), and cjson.encode, also of what cjson.decode
# has just read. So two ids that differ in the last digits get the same key.
# One would expect the limit of Lua's numbers, 2^53, everywhere; and that JSON that is decoded and
# encoded stays equal up to there. ARGV and KEYS are texts and stay as they are, until tonumber(),
# arithmetic or JSON makes a number of them. string.format("%.0f", id) gives all digits.
#
# Cause: Lua writes a number into a text with 14 digits, and cjson does so too (its maximum in this
# version). Redis writes an argument that is a number with 17 digits.
#
# Output seen:
#   argument:          1700000000123456 1700000000123457
#   answer:            1700000000123456 1700000000123457
#   "name:" .. id:     name:1.7000000001235e+15 name:1.7000000001235e+15
#   cjson of cjson:    {"id":1.7000000001235e+15} {"id":1.7000000001235e+15}
#   string.format:     1700000000123456 1700000000123457
#   two messages with two ids: keys with one message 0, with both 1
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
call() { redis-cli --raw -s "$folder/socket" "$@"; }
for _ in {1..100}; do
    [[ -S $folder/socket ]] && break
    sleep 0.05
done

one=1700000000123456
two=1700000000123457
expect() {
    local name=$1 expected=$2 script=$3 answer
    answer="$(call EVAL "$script" 0 "$one") $(call EVAL "$script" 0 "$two")"
    printf '%-18s %s\n' "$name:" "$answer"
    [[ $answer == "$expected" ]]
}
expect "argument" "$one $two" "return redis.call('ECHO', tonumber(ARGV[1]))"
expect "answer" "$one $two" "return tonumber(ARGV[1])"
expect '"name:" .. id' "name:1.7000000001235e+15 name:1.7000000001235e+15" \
    "return 'name:' .. tonumber(ARGV[1])"
expect "cjson of cjson" '{"id":1.7000000001235e+15} {"id":1.7000000001235e+15}' \
    "return cjson.encode(cjson.decode('{\"id\":' .. ARGV[1] .. '}'))"
expect "string.format" "$one $two" "return string.format('%.0f', tonumber(ARGV[1]))"

for id in "$one" "$two"; do
    call EVAL "redis.call('RPUSH', 'chat:' .. cjson.decode(ARGV[1]).id, 'hello')" 0 "{\"id\":$id}"
done > "$folder/log"
keys=$(call KEYS 'chat:*')
lengths=$(for key in $keys; do call LLEN "$key"; done)
singles=$(grep -cx 1 <<< "$lengths" || true)
doubles=$(grep -cx 2 <<< "$lengths" || true)
echo "two messages with two ids: keys with one message $singles, with both $doubles"
[[ $singles == 0 && $doubles == 1 ]]
