"""The token that Aurora DSQL takes for a password: a presigned URL without its
https://, checked by computing the signature again.

    action = check(token, host, user, state, now)   # or Denied
"""

import hashlib
import re

import sigv4

SERVICE = "dsql"
HOST = re.compile(r"[a-z0-9]{26}\.dsql[^.]*\.([^.]+)\.on\.aws$")
EMPTY = hashlib.sha256(b"").hexdigest()
LONGEST = 604800
WANTED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
          "X-Amz-SignedHeaders", "X-Amz-Signature", "Action")


class Denied(Exception):
    """unable to accept connection, access denied; the hint, if there is one"""

    def __init__(self, hint=None):
        super().__init__(hint)
        self.hint = hint


def parameters(token):
    """The query of the token, each name once, and all its pairs."""
    _, pairs = sigv4.split_target(token[token.find("/"):])
    found = {}
    for name, value in pairs:
        name = name.decode("latin-1")
        if name in found:
            raise Denied(f"{name} is there twice")
        found[name] = value.decode("latin-1")
    for name in WANTED:
        if name not in found:
            raise Denied(f"{name} is missing")
    return found, pairs


def check_time(found, now):
    when = sigv4.seconds_of(found["X-Amz-Date"])
    life = found["X-Amz-Expires"]
    if when is None or not re.fullmatch(r"\d{1,6}", life) \
            or not 1 <= int(life) <= LONGEST:
        raise Denied("Invalid X-Amz-Date or X-Amz-Expires")
    if when - now > sigv4.SKEW:
        raise Denied(f"Signature not yet current: {found['X-Amz-Date']}")
    if now >= when + int(life):
        raise Denied(f"Signature expired: {found['X-Amz-Date']} is now "
                     f"earlier than {sigv4.stamp_of(now - int(life))}")


def check_scope(credential, stamp, region):
    """The access key, and the scope without it."""
    parts = credential.split("/")
    if len(parts) != 5:
        raise Denied("Credential is malformed")
    key, day, scope_region, service, last = parts
    if day != stamp[:8] or last != "aws4_request":
        raise Denied("Credential should be scoped to a valid date")
    if service != SERVICE:
        raise Denied("Credential should be scoped to correct service: "
                     f"'{SERVICE}'")
    if scope_region != region:
        raise Denied("Credential should be scoped to a valid region")
    return key, "/".join(parts[1:])


def check_key(keys, name, token):
    key = keys.get(name)
    if key is None or (key.get("token") or None) != token:
        raise Denied("The security token included in the request is invalid")
    return key


def check_signature(found, pairs, host, key, scope):
    signed = found["X-Amz-SignedHeaders"]
    if signed != "host" or found["X-Amz-Algorithm"] != sigv4.ALGORITHM:
        raise Denied("The signed header is host, by " + sigv4.ALGORITHM)
    request = sigv4.Request("GET", "/", [("Host", host)])
    rest = [pair for pair in pairs if pair[0] != b"X-Amz-Signature"]
    canonical = sigv4.canonical_request(request, rest, ["host"], EMPTY)
    text = sigv4.string_to_sign(found["X-Amz-Date"], scope, canonical)
    if sigv4.signature(key["secret"], scope, text) != found["X-Amz-Signature"]:
        raise Denied("The request signature we calculated does not match the "
                     "signature you provided")


def check(token, host, user, keys, now):
    """The key that signed the token."""
    match = HOST.match(host)
    if not match or not token.startswith(host + "/?"):
        raise Denied("The token is not for this cluster")
    found, pairs = parameters(token)
    check_time(found, now)
    name, scope = check_scope(found["X-Amz-Credential"], found["X-Amz-Date"],
                              match.group(1))
    key = check_key(keys, name, found.get("X-Amz-Security-Token"))
    check_signature(found, pairs, host, key, scope)

    action = found["Action"]
    if action not in ("DbConnect", "DbConnectAdmin") \
            or (user == "admin") != (action == "DbConnectAdmin"):
        raise Denied(f"Wrong user to action mapping. user: {user}, "
                     f"action: {action}")
    if action not in key.get("actions", ["DbConnect", "DbConnectAdmin"]):
        raise Denied(f"User: {key['arn']} is not authorized to perform: "
                     f"dsql:{action}")
    return key
