#!/usr/bin/env bash
# JOSE has two names for a signature with Ed25519: "EdDSA" (RFC 8037) and "Ed25519" (RFC 9864, of
# 2025, which deprecates the first). Key, signature and everything else are equal. If the caller
# allows both names, libraries differ in those that they accept in a token and in its key ("alg" of
# the JWK): PyJWT 2.15.1 only the old one, authlib 1.9.10 the old one in tokens and any in keys,
# joserfc 1.8.0 both if they are equal, jwcrypto 1.6.1 all.
# One would expect that the new name is an alias of the old one. In PyJWT a key with the new name
# also disappears from its set without an error, so that a token with the old name, which this key
# has signed, has "no key". Signers can use the new name when all readers know it, and should leave
# "alg" out of the JWK until then.
#
# Cause: PyJWT and authlib do not know the name. joserfc compares both names letter by letter.
#
# Output seen (the token's name, the key's name):
#   EdDSA, none: pyjwt yes, joserfc yes, authlib yes, jwcrypto yes
#   EdDSA, EdDSA: pyjwt yes, joserfc yes, authlib yes, jwcrypto yes
#   EdDSA, Ed25519: pyjwt no, joserfc no, authlib yes, jwcrypto yes
#   Ed25519, none: pyjwt no, joserfc yes, authlib no, jwcrypto yes
#   Ed25519, EdDSA: pyjwt no, joserfc no, authlib no, jwcrypto yes
#   Ed25519, Ed25519: pyjwt no, joserfc yes, authlib no, jwcrypto yes
#   keys that PyJWT finds in a set of two whose second is named Ed25519: ['old']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    pyjwt[crypto]==2.15.1 joserfc==1.8.0 authlib==1.9.10 jwcrypto==1.6.1
cat > "$folder/run.py" <<'PYTHON'
import base64
import json
import time

import authlib.jose
import joserfc.jwk
import joserfc.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAMES = ["EdDSA", "Ed25519"]


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key(name=None, **others):
    public = {"kty": "OKP", "crv": "Ed25519", "use": "sig", **others,
              "x": encoded(private.public_key().public_bytes_raw())}
    return public | ({"alg": name} if name else {})


def token(name):
    claims = {"sub": "alice", "exp": int(time.time()) + 600}
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": name}, claims))
    return f"{text}.{encoded(private.sign(text.encode()))}"


def with_pyjwt(token, key):
    return jwt.decode(token, jwt.PyJWK(key), algorithms=NAMES)


def with_joserfc(token, key):
    return joserfc.jwt.decode(token, joserfc.jwk.OKPKey.import_key(key), NAMES).claims


def with_authlib(token, key):
    return authlib.jose.JsonWebToken(NAMES).decode(
        token, authlib.jose.JsonWebKey.import_key(key))


def with_jwcrypto(token, key):
    return json.loads(
        jwcrypto.jwt.JWT(jwt=token, key=jwcrypto.jwk.JWK(**key), algs=NAMES).claims)


private = Ed25519PrivateKey.generate()
EXPECTED = {
    ("EdDSA", None): "yes yes yes yes",
    ("EdDSA", "EdDSA"): "yes yes yes yes",
    ("EdDSA", "Ed25519"): "no no yes yes",
    ("Ed25519", None): "no yes no yes",
    ("Ed25519", "EdDSA"): "no no no yes",
    ("Ed25519", "Ed25519"): "no yes no yes",
}
for (name, key_name), expected in EXPECTED.items():
    outcomes = {}
    for run in (with_pyjwt, with_joserfc, with_authlib, with_jwcrypto):
        try:
            is_valid = run(token(name), key(key_name))["sub"] == "alice"
        except Exception:
            is_valid = False
        outcomes[run.__name__[5:]] = "yes" if is_valid else "no"
    print(f"{name}, {key_name or 'none'}:", ", ".join(map(" ".join, outcomes.items())))
    assert list(outcomes.values()) == expected.split()

keys = jwt.PyJWKSet.from_dict({"keys": [key("EdDSA", kid="old"), key("Ed25519", kid="new")]})
ids = [one.key_id for one in keys.keys]
print("keys that PyJWT finds in a set of two whose second is named Ed25519:", ids)
assert ids == ["old"]
PYTHON
"$folder/venv/bin/python" "$folder/run.py" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
