#!/usr/bin/env bash
# joserfc 1.8.0 refuses a JWT whose header has a parameter of its own, such as {"alg":"HS256",
# "kid":"1","org":"acme"}. Signing such a token with joserfc fails as well. Load balancers and
# issuers do add parameters: AWS' load balancer sends "signer", "iss", "client" and "exp" there.
# PyJWT 2.15.1, authlib 1.9.10 (of the same author, and whose documentation advises joserfc as its
# successor), jwcrypto 1.6.1 and python-jose 3.5.0 accept the token.
# RFC 7515 (4): all header parameters that are not understood must be ignored; only those that
# "crit" lists must be understood.
# JWSRegistry(strict_check_header=False) switches it off, and has to be passed to each call. An
# issuer whose tokens many libraries read should put its own values into the claims.
#
# Cause: the default registry checks the header against the names that it knows.
#
# Output seen (the names in the header):
#   alg kid typ:           joserfc ok; the others ok
#   alg kid typ cty x5t:   joserfc ok; the others ok
#   alg kid typ org:       joserfc UnsupportedHeaderError; the others ok
#   alg kid typ exp iss:   joserfc UnsupportedHeaderError; the others ok
#   encode with org:       joserfc UnsupportedHeaderError
#   not strict:            joserfc ok
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check joserfc==1.8.0 PyJWT==2.15.1 \
    authlib==1.9.10 jwcrypto==1.6.1 python-jose==3.5.0 cryptography==50.0.2
cat > "$folder/run.py" <<'PYTHON'
import base64

import jose.jwt
import joserfc.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt as pyjwt
from authlib.jose import jwt as authlib_jwt
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry

SECRET = "a secret of more than 32 characters"
KEY = OctKey.import_key(SECRET)
CLAIMS = {"sub": "anna"}


def with_jwcrypto(token):
    secret = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    key = jwcrypto.jwk.JWK(kty="oct", k=secret)
    jwcrypto.jwt.JWT(jwt=token, key=key, expected_type="JWS", algs=["HS256"])


OTHERS = {
    "pyjwt": lambda token: pyjwt.decode(token, SECRET, ["HS256"]),
    "authlib": lambda token: authlib_jwt.decode(token, SECRET).validate(),
    "jwcrypto": with_jwcrypto,
    "jose": lambda token: jose.jwt.decode(token, SECRET, ["HS256"]),
}


def outcome_of(run, *arguments):
    try:
        run(*arguments)
        return "ok"
    except Exception as error:
        return type(error).__name__


def token_with(**more):
    return pyjwt.encode(CLAIMS, SECRET, "HS256", headers={"kid": "1", **more})


def with_joserfc(token):
    assert joserfc.jwt.decode(token, KEY).claims == CLAIMS


for more, expected in [
    ({}, "ok"),
    ({"cty": "application/json", "x5t": "AAAA"}, "ok"),
    ({"org": "acme"}, "UnsupportedHeaderError"),
    ({"exp": 4000000000, "iss": "https://issuer.example.test"}, "UnsupportedHeaderError"),
]:
    token = token_with(**more)
    own = outcome_of(with_joserfc, token)
    others = {name: outcome_of(run, token) for name, run in OTHERS.items()}
    title = " ".join(["alg", "kid", "typ", *more]) + ":"
    assert own == expected and set(others.values()) == {"ok"}, others
    print(f"{title:<22} joserfc {own}; the others ok")

header = {"alg": "HS256", "org": "acme"}
encoded = outcome_of(joserfc.jwt.encode, header, CLAIMS, KEY)
print(f"{'encode with org:':<22} joserfc {encoded}")
assert encoded == "UnsupportedHeaderError"
lenient = outcome_of(lambda token: joserfc.jwt.decode(
    token, KEY, registry=JWSRegistry(strict_check_header=False)), token_with(org="acme"))
print(f"{'not strict:':<22} joserfc {lenient}")
assert lenient == "ok"
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
