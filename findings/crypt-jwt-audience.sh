#!/usr/bin/env bash
# Perl's Crypt::JWT 0.034 (Debian 12) with verify_aud => "chat" accepts a token whose "aud" is
# "chat", and refuses one in which it is a list with this name, ["chat"] or ["chat", "files"]. With
# verify_aud => qr/^chat$/ it is the same. Only a subroutine sees the list.
# RFC 7519 (4.1.3): in the general case "aud" is a list, and a string is the special case of one
# audience. One would expect that a given name is looked for in both, as PyJWT 2.15.1 and Ruby's jwt
# 2.5.0 do. Issuers write lists as soon as a token is for a second service, so a change at the
# issuer, which harms no other verifier, stops this one.
#
# Cause: the claim is compared as one string, whatever it is.
#
# Output seen (aud: a name, a pattern, a subroutine):
#   "chat":            perl yes yes yes, pyjwt yes, ruby yes
#   ["chat"]:          perl no no yes, pyjwt yes, ruby yes
#   ["chat","files"]:  perl no no yes, pyjwt yes, ruby yes
#   ["files"]:         perl no no no, pyjwt no, ruby no
set -euo pipefail
for package in libcrypt-jwt-perl=0.034-1 ruby-jwt=2.5.0-1+deb12u1; do
    if [[ $(dpkg-query -W -f '${Version}' "${package%=*}" 2>&1) != "${package#*=}" ]]; then
        echo "install ${package%=*} ${package#*=} (Debian 12)" >&2
        exit 1
    fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check PyJWT==2.15.1
cat > "$folder/verify.pl" <<'PERL'
use Crypt::JWT qw(decode_jwt);
my $has_chat = sub { grep { $_ eq "chat" } ref $_[0] ? @{$_[0]} : $_[0] };
for my $wanted ("chat", qr/^chat$/, $has_chat) {
    my $claims = eval {
        decode_jwt(token => $ARGV[0], key => $ARGV[1], accepted_alg => "HS256",
                   verify_aud => $wanted)
    };
    print $claims ? "yes " : "no ";
}
PERL
cat > "$folder/verify.rb" <<'RUBY'
require "jwt"
begin
  JWT.decode(ARGV[0], ARGV[1], true, algorithm: "HS256", aud: "chat", verify_aud: true)
  print "yes"
rescue JWT::InvalidAudError
  print "no"
end
RUBY
cat > "$folder/run.py" <<'PYTHON'
import json
import subprocess
import sys

import jwt

folder = sys.argv[1]
SECRET = "a secret of more than 32 characters"


def with_program(*command):
    return subprocess.run([*command, token, SECRET], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def with_pyjwt():
    try:
        jwt.decode(token, SECRET, ["HS256"], audience="chat")
        return "yes"
    except jwt.InvalidAudienceError:
        return "no"


for audience, of_perl, of_others in [
    ("chat", "yes yes yes", "yes"), (["chat"], "no no yes", "yes"),
    (["chat", "files"], "no no yes", "yes"), (["files"], "no no no", "no"),
]:
    token = jwt.encode({"sub": "anna", "aud": audience}, SECRET, "HS256")
    perl, pyjwt = with_program("perl", f"{folder}/verify.pl"), with_pyjwt()
    ruby = with_program("ruby", f"{folder}/verify.rb")
    title = json.dumps(audience, separators=(",", ":")) + ":"
    print(f"{title:<18} perl {perl}, pyjwt {pyjwt}, ruby {ruby}")
    assert (perl, pyjwt, ruby) == (of_perl, of_others, of_others)
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
