#!/usr/bin/env bash
# The package that is named uuid7 (0.1.0, import uuid_extensions) does not make UUIDv7 of RFC 9562.
# Its ids carry version 7 and the right variant, and sort among themselves. But the first 48 bits
# are not the milliseconds since 1970 (RFC 9562, 5.7): an id of 2026 reads as one of 2199. In
# a column with ids of uuid6 2025.0.1, uuid-utils 1.2.0 or a database, each of its ids sorts behind
# all of theirs, whichever is older, so "the newest messages" and cursors by id are wrong.
# One would expect one layout for one version number, and no library can tell the two apart.
# A server that takes ids from clients should not take the order or the time from them.
#
# Cause: the package follows a draft of 2021, which begins with 36 bits of seconds and continues
# with their fraction, so that 4096 steps make a second instead of 1000. Later drafts changed it.
#
# Output seen (the id's own milliseconds, read as RFC 9562 says):
#   uuid7       made for 2026-01-01, version 7: 2199-05-19
#   uuid7       made for 2027-01-01, version 7: 2203-06-23
#   uuid6       made now, version 7: now
#   uuid-utils  made now, version 7: now
#   made in the order uuid7, uuid6, uuid-utils; sorted: uuid6, uuid-utils, uuid7
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uuid7==0.1.0 uuid6==2025.0.1 \
    uuid-utils==1.2.0
cat > "$folder/run.py" <<'PYTHON'
import datetime
import time
import uuid

import uuid6
import uuid_extensions
import uuid_utils

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def date_of(identifier):
    milliseconds = int(str(identifier).replace("-", "")[:12], 16)
    return (EPOCH + datetime.timedelta(milliseconds=milliseconds)).date()


for year, expected in [(2026, "2199-05-19"), (2027, "2203-06-23")]:
    moment = datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc)
    identifier = uuid_extensions.uuid7(int(moment.timestamp()) * 10**9)
    assert identifier.version == 7 and identifier.variant == uuid.RFC_4122
    print(f"uuid7       made for {moment.date()}, version 7: {date_of(identifier)}")
    assert str(date_of(identifier)) == expected

made = []
for name, make in [("uuid7", uuid_extensions.uuid7), ("uuid6", uuid6.uuid7),
                   ("uuid-utils", uuid_utils.uuid7)]:
    made.append((str(make()), name))
    time.sleep(0.01)
today = datetime.datetime.now(datetime.timezone.utc).date()
for identifier, name in made[1:]:
    assert abs((date_of(identifier) - today).days) <= 1
    assert uuid.UUID(identifier).version == 7
    print(f"{name:<11} made now, version 7: now")
order = [name for _, name in sorted(made)]
print("made in the order uuid7, uuid6, uuid-utils; sorted:", ", ".join(order))
assert order == ["uuid6", "uuid-utils", "uuid7"]
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
