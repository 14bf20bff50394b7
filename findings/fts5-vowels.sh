#!/usr/bin/env bash
# SQLite 3.54.1 (in APSW 3.54.1.0; 3.40.1 of Debian 12 too), FTS5 with its default tokenizer
# unicode61: words in Hindi, Tamil, Thai and other Indian and Southeast Asian scripts that differ
# only in their vowel signs find each other. In Hindi "का", "की" and "कि" (three frequent, different
# words) are one token. Vowel signs also end a word: "हिन्दी" becomes three tokens of one letter.
# One would expect that a tokenizer that is named after Unicode keeps words of these scripts whole,
# as its removal of diacritics concerns Latin script only.
# With tokenize = "unicode61 categories 'L* N* Co Mc Mn'" the words stay whole.
#
# Cause: of Unicode's categories only letters, numbers and private use are parts of a token. Vowel
# signs of these scripts are marks (Mc, Mn), and so separators like a space.
#
# Output seen:
#   default:        की finds का, कि, की; tokens of हिन्दी: द, न, ह
#   default:        தீ finds தா, தீ; กา finds กา; กี finds กี, กู
#   with Mc and Mn: की finds की; tokens of हिन्दी: हिन्दी
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check apsw==3.54.1.0
cat > "$folder/run.py" <<'PYTHON'
import apsw

WORDS = ["का", "की", "कि", "हिन्दी", "தா", "தீ", "กา", "กี", "กู"]


def table(options):
    database = apsw.Connection(":memory:")
    database.execute(f"CREATE VIRTUAL TABLE message USING fts5(text{options})")
    for word in WORDS:
        database.execute("INSERT INTO message VALUES (?)", (word,))
    database.execute("CREATE VIRTUAL TABLE tokens USING fts5vocab(message, instance)")

    def found(word):
        return sorted(text for text, in database.execute(
            "SELECT text FROM message WHERE message MATCH ?", (f'"{word}"',)))

    def tokens(word):
        return sorted(token for token, in database.execute(
            "SELECT term FROM tokens WHERE doc = ?", (WORDS.index(word) + 1,)))

    return found, tokens


found, tokens = table("")
print(f"default:        की finds {', '.join(found('की'))}; "
      f"tokens of हिन्दी: {', '.join(tokens('हिन्दी'))}")
print(f"default:        தீ finds {', '.join(found('தீ'))}; "
      f"กา finds {', '.join(found('กา'))}; กี finds {', '.join(found('กี'))}")
assert found("की") == ["का", "कि", "की"] and tokens("हिन्दी") == ["द", "न", "ह"]
assert found("தீ") == ["தா", "தீ"] and found("กี") == ["กี", "กู"]

found, tokens = table(", tokenize = \"unicode61 categories 'L* N* Co Mc Mn'\"")
print(f"with Mc and Mn: की finds {', '.join(found('की'))}; "
      f"tokens of हिन्दी: {', '.join(tokens('हिन्दी'))}")
assert found("की") == ["की"] and tokens("हिन्दी") == ["हिन्दी"]
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
