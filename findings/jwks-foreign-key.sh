#!/usr/bin/env bash
# A JWK set with an RSA key and one other key, and a token that the RSA key has signed and whose
# "kid" names that key. Five of six other keys make a library refuse the token:
#   the other key                               refused by
#   of an unknown type (kty)                    authlib 1.9.10; python-jose 3.5.0 if it is first
#   on an unknown curve                         joserfc 1.8.0; python-jose if it is first
#   X25519, for encryption, or P-256            python-jose if it is first
#   RSA with an unknown word in key_ops         joserfc
#   RSA for RSA-OAEP                            none
# PyJWT 2.15.1 and jwcrypto 1.6.1 accept the token with each of them.
# RFC 7517 (5): ignore keys of an unknown type, and keys with values out of the supported range. One
# would expect that "kid" selects the key, and that the rest of the set does not matter: sets
# receive keys of new types (AKP for ML-DSA) years before all of their readers know them.
# authlib and joserfc have the same author, and refuse the opposite cases.
#
# Cause: authlib and joserfc construct all keys first, and an exception ends that. python-jose
# ignores "kid", tries the keys in order, and constructs each with the token's algorithm; an
# exception ends the loop before the right key.
#
# Output seen:
#   AKP first       pyjwt ok, joserfc ok, authlib KeyError, jwcrypto ok, jose JWKError
#   AKP last        pyjwt ok, joserfc ok, authlib KeyError, jwcrypto ok, jose ok
#   new curve first pyjwt ok, joserfc KeyError, authlib ok, jwcrypto ok, jose JWKError
#   new curve last  pyjwt ok, joserfc KeyError, authlib ok, jwcrypto ok, jose ok
#   X25519 first    pyjwt ok, joserfc ok, authlib ok, jwcrypto ok, jose JWKError
#   X25519 last     pyjwt ok, joserfc ok, authlib ok, jwcrypto ok, jose ok
#   P-256 first     pyjwt ok, joserfc ok, authlib ok, jwcrypto ok, jose JWKError
#   P-256 last      pyjwt ok, joserfc ok, authlib ok, jwcrypto ok, jose ok
#   key_ops first   pyjwt ok, joserfc KeyParameterError, authlib ok, jwcrypto ok, jose ok
#   key_ops last    pyjwt ok, joserfc KeyParameterError, authlib ok, jwcrypto ok, jose ok
#   RSA-OAEP first  pyjwt ok, joserfc ok, authlib ok, jwcrypto ok, jose ok
#   RSA-OAEP last   pyjwt ok, joserfc ok, authlib ok, jwcrypto ok, jose ok
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pyjwt==2.15.1 joserfc==1.8.0 \
    authlib==1.9.10 jwcrypto==1.6.1 python-jose[cryptography]==3.5.0
cat > "$folder/run.py" <<'PYTHON'
import base64
import json
import time

import authlib.jose
import joserfc.jwk
import joserfc.jwt
import jose.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


private = rsa.generate_private_key(65537, 2048)
numbers = private.public_key().public_numbers()
point = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
RSA = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
RIGHT = RSA | {"kid": "right", "alg": "RS256", "use": "sig"}
OTHERS = {
    "AKP": {"kty": "AKP", "alg": "ML-DSA-44", "pub": encoded(bytes(1312)), "use": "sig"},
    "new curve": {"kty": "EC", "crv": "new", "x": encoded(bytes(40)), "y": encoded(bytes(40))},
    "X25519": {"kty": "OKP", "crv": "X25519", "x": encoded(bytes(range(32))), "use": "enc",
               "alg": "ECDH-ES"},
    "P-256": {"kty": "EC", "crv": "P-256", "x": encoded(point.x.to_bytes(32, "big")),
              "y": encoded(point.y.to_bytes(32, "big")), "use": "sig", "alg": "ES256"},
    "key_ops": RSA | {"key_ops": ["verify", "new"]},
    "RSA-OAEP": RSA | {"use": "enc", "alg": "RSA-OAEP"},
}
CLAIMS = {"sub": "alice", "exp": int(time.time()) + 600}
TOKEN = jwt.encode(CLAIMS, private, "RS256", headers={"kid": "right"})


def with_pyjwt(keys):
    return jwt.decode(TOKEN, jwt.PyJWKSet.from_dict(keys)["right"], algorithms=["RS256"])


def with_joserfc(keys):
    return joserfc.jwt.decode(TOKEN, joserfc.jwk.KeySet.import_key_set(keys), ["RS256"]).claims


def with_authlib(keys):
    return authlib.jose.JsonWebToken(["RS256"]).decode(
        TOKEN, authlib.jose.JsonWebKey.import_key_set(keys))


def with_jwcrypto(keys):
    return json.loads(jwcrypto.jwt.JWT(
        jwt=TOKEN, key=jwcrypto.jwk.JWKSet.from_json(json.dumps(keys)), algs=["RS256"]).claims)


def with_jose(keys):
    return jose.jwt.decode(TOKEN, keys, algorithms=["RS256"])


EXPECTED = {
    ("AKP", "first"): {"authlib": "KeyError", "jose": "JWKError"},
    ("AKP", "last"): {"authlib": "KeyError"},
    ("new curve", "first"): {"joserfc": "KeyError", "jose": "JWKError"},
    ("new curve", "last"): {"joserfc": "KeyError"},
    ("X25519", "first"): {"jose": "JWKError"},
    ("P-256", "first"): {"jose": "JWKError"},
    ("key_ops", "first"): {"joserfc": "KeyParameterError"},
    ("key_ops", "last"): {"joserfc": "KeyParameterError"},
}
for name, other in OTHERS.items():
    for place in ("first", "last"):
        keys = [other | {"kid": "other"}, RIGHT]
        if place == "last":
            keys.reverse()
        outcomes = {}
        for run in (with_pyjwt, with_joserfc, with_authlib, with_jwcrypto, with_jose):
            try:
                assert run({"keys": keys})["sub"] == "alice"
                outcome = "ok"
            except AssertionError:
                raise
            except Exception as error:
                outcome = type(error).__name__
            outcomes[run.__name__[5:]] = outcome
        print(f"{name + ' ' + place:<15}", ", ".join(map(" ".join, outcomes.items())))
        failures = {library: text for library, text in outcomes.items() if text != "ok"}
        assert failures == EXPECTED.get((name, place), {})
PYTHON
"$folder/venv/bin/python" "$folder/run.py" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
