#!/usr/bin/env bash
# SQLite 3.54.1 (in APSW 3.54.1.0; 3.40.1 of Debian 12 too), FTS5: a phrase without a token, such as
# "&" in quotes, is ignored beside other phrases, but an explicit AND with it matches nothing:
#   "tom" "&" "jerry"          finds Tom & Jerry
#   "tom" AND "&" AND "jerry"  finds nothing
# The documentation calls the first an implicit AND; one would expect that both are equal. Programs
# that quote each word of a user and join them with AND, so that no word is an operator, find
# nothing as soon as a user types a lone dash, ampersand or emoji. Joined with spaces it works.
# OR and NOT treat such a phrase as one that occurs nowhere, and within NEAR it is ignored.
#
# Cause: the parser drops a phrase without tokens only where it inserts an AND itself; as a node of
# its own the phrase matches no row.
#
# Output seen:
#   "tom" "&" "jerry": Tom & Jerry
#   "tom" AND "&" AND "jerry": nothing
#   "tom" AND "jerry": Tom & Jerry
#   NEAR("tom" "&" "jerry"): Tom & Jerry
#   "tom" OR "&": Tom & Jerry
#   "tom" NOT "&": Tom & Jerry
#   "&": nothing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check apsw==3.54.1.0
cat > "$folder/run.py" <<'PYTHON'
import apsw

database = apsw.Connection(":memory:")
database.execute("CREATE VIRTUAL TABLE message USING fts5(text)")
database.execute("INSERT INTO message VALUES ('Tom & Jerry'), ('Somebody else')")
for query, is_found in {
    '"tom" "&" "jerry"': True,
    '"tom" AND "&" AND "jerry"': False,
    '"tom" AND "jerry"': True,
    'NEAR("tom" "&" "jerry")': True,
    '"tom" OR "&"': True,
    '"tom" NOT "&"': True,
    '"&"': False,
}.items():
    rows = [text for text, in database.execute(
        "SELECT text FROM message WHERE message MATCH ?", (query,))]
    print(f"{query}:", ", ".join(rows) or "nothing")
    assert rows == (["Tom & Jerry"] if is_found else [])
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
