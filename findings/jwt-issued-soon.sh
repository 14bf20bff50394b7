#!/usr/bin/env bash
# A JWT with "iat" ten seconds in the future, as an issuer makes it whose clock is ahead, and with
# "exp" in an hour. With their defaults PyJWT 2.15.1, authlib 1.9.10 and joserfc 1.8.0 refuse it as
# issued in the future; one second is enough for that. jwcrypto 1.6.1, python-jose 3.5.0, Perl's
# Crypt::JWT 0.034, and Ruby's jwt 2.5.0 and json-jwt 1.14.0 (Debian 12) accept it.
# RFC 7519 has "iat" for the token's age, without such a rule (4.1.6), and "nbf" for "not before"
# (4.1.5). One would expect that "iat" is ignored, or compared with some seconds of leeway. The
# three have none by default. So sign-in fails for a moment, in some services only, and works when
# one tries again.
# An issuer should leave "iat" out or set it back a little; a verifier should set a leeway.
#
# Cause: the three compare every "iat" with the clock.
#
# Output seen:
#   pyjwt        ImmatureSignatureError
#   authlib      InvalidTokenError
#   joserfc      InvalidClaimError
#   jwcrypto     ok
#   jose         ok
#   Crypt::JWT   ok
#   ruby-jwt     ok
#   json-jwt     ok
#   without iat: ok for all; with a leeway of 30 s: ok for pyjwt, authlib and joserfc
set -euo pipefail
for package in libcrypt-jwt-perl=0.034-1 ruby-jwt=2.5.0-1+deb12u1 ruby-json-jwt=1.14.0-2; do
    if [[ $(dpkg-query -W -f '${Version}' "${package%=*}" 2>&1) != "${package#*=}" ]]; then
        echo "install ${package%=*} ${package#*=} (Debian 12)" >&2
        exit 1
    fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check PyJWT==2.15.1 authlib==1.9.10 \
    joserfc==1.8.0 jwcrypto==1.6.1 python-jose==3.5.0 cryptography==50.0.2
cat > "$folder/verify.pl" <<'PERL'
use Crypt::JWT qw(decode_jwt);
print decode_jwt(token => $ARGV[0], key => $ARGV[1], accepted_alg => "HS256")->{sub};
PERL
cat > "$folder/ruby-jwt.rb" <<'RUBY'
require "jwt"
print JWT.decode(ARGV[0], ARGV[1], true, algorithm: "HS256")[0]["sub"]
RUBY
cat > "$folder/json-jwt.rb" <<'RUBY'
require "json/jwt"
print JSON::JWT.decode(ARGV[0], ARGV[1])["sub"]
RUBY
cat > "$folder/run.py" <<'PYTHON'
import base64
import json
import subprocess
import sys
import time

import jose.jwt
import joserfc.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt as pyjwt
from authlib.jose import jwt as authlib_jwt
from joserfc.jwk import OctKey

folder = sys.argv[1]
SECRET = "a secret of more than 32 characters"


def with_pyjwt(token, leeway=None):
    return pyjwt.decode(token, SECRET, ["HS256"], **({"leeway": leeway} if leeway else {}))["sub"]


def with_authlib(token, leeway=None):
    claims = authlib_jwt.decode(token, SECRET)
    claims.validate(**({"leeway": leeway} if leeway else {}))
    return claims["sub"]


def with_joserfc(token, leeway=None):
    claims = joserfc.jwt.decode(token, OctKey.import_key(SECRET)).claims
    joserfc.jwt.JWTClaimsRegistry(**({"leeway": leeway} if leeway else {})).validate(claims)
    return claims["sub"]


def with_jwcrypto(token):
    secret = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    key = jwcrypto.jwk.JWK(kty="oct", k=secret)
    verified = jwcrypto.jwt.JWT(jwt=token, key=key, expected_type="JWS", algs=["HS256"])
    return json.loads(verified.claims)["sub"]


def with_jose(token):
    return jose.jwt.decode(token, SECRET, ["HS256"])["sub"]


def with_program(*command):
    return lambda token: subprocess.run(
        [*command, token, SECRET], stdout=subprocess.PIPE, text=True, check=True).stdout


STRICT = {
    "pyjwt": (with_pyjwt, "ImmatureSignatureError"),
    "authlib": (with_authlib, "InvalidTokenError"),
    "joserfc": (with_joserfc, "InvalidClaimError"),
}
VERIFIERS = STRICT | {
    "jwcrypto": (with_jwcrypto, "ok"), "jose": (with_jose, "ok"),
    "Crypt::JWT": (with_program("perl", f"{folder}/verify.pl"), "ok"),
    "ruby-jwt": (with_program("ruby", f"{folder}/ruby-jwt.rb"), "ok"),
    "json-jwt": (with_program("ruby", f"{folder}/json-jwt.rb"), "ok"),
}


def token_with(**claims):
    claims = {"sub": "anna", "exp": int(time.time()) + 3600, **claims}
    return pyjwt.encode(claims, SECRET, "HS256")


def outcome_of(run, *arguments):
    try:
        assert run(*arguments) == "anna"
        return "ok"
    except Exception as error:
        return type(error).__name__


for name, (run, expected) in VERIFIERS.items():
    outcome = outcome_of(run, token_with(iat=int(time.time()) + 10))
    print(f"{name:<12} {outcome}")
    assert outcome == expected
    assert outcome_of(run, token_with()) == "ok"
for run, _ in STRICT.values():
    assert outcome_of(run, token_with(iat=int(time.time()) + 10), 30) == "ok"
print("without iat: ok for all; with a leeway of 30 s: ok for pyjwt, authlib and joserfc")
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
