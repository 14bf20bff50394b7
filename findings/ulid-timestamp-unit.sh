#!/usr/bin/env bash
# python-ulid 4.1.0: ULID.from_timestamp(1700000000) makes an id of 20 January 1970, and
# from_timestamp(1700000000.0) one of 14 November 2023. An int counts milliseconds, a float seconds.
# ulid-py 1.1.0, with the same module name (ulid) and the same name of the function, takes seconds
# for both, as do ulid2 0.3.0 and ulid-transform 2.2.9.
# One would expect one unit: elsewhere in Python both numbers are equal and mean the same moment, as
# for datetime.fromtimestamp(), and the annotation is "float", which includes int. The text below it
# does tell both. So a range of messages that begins at int(time.time()) begins in 1970, without an
# error, and an id that is made with such a number sorts before all others.
#
# Cause: the function looks at the type, so that time.time() and its int in milliseconds both work.
#
# Output seen (1700000000, 1700000000.0):
#   python-ulid     1970-01-20, 2023-11-14
#   ulid-py         2023-11-14, 2023-11-14
#   ulid2           2023-11-14, 2023-11-14
#   ulid-transform  2023-11-14, 2023-11-14
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/run.py" <<'PYTHON'
import datetime
import importlib
import sys

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NAME, MODULE, *PATH = sys.argv[1:]
make = importlib.import_module(MODULE)
for part in PATH:
    make = getattr(make, part)


def date_of(identifier):
    milliseconds = 0
    for letter in str(identifier)[:10]:
        milliseconds = milliseconds * 32 + DIGITS.index(letter)
    return str(datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc).date())


found = [date_of(make(moment)) for moment in (1700000000, 1700000000.0)]
print(f"{NAME:<15}", ", ".join(found))
assert found == ["1970-01-20" if NAME == "python-ulid" else "2023-11-14", "2023-11-14"]
PYTHON
run() {
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install -q --disable-pip-version-check "$1==$2"
    "$folder/$1/bin/python" "$folder/run.py" "$1" "${@:3}"
}
run python-ulid 4.1.0 ulid ULID from_timestamp
run ulid-py 1.1.0 ulid from_timestamp
run ulid2 0.3.0 ulid2 generate_ulid_as_base32
run ulid-transform 2.2.9 ulid_transform ulid_at_time
