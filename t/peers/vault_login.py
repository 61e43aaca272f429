"""Who may log in to the Vault of the tests, and the tokens that they get.

The AWS method does what Vault's does: with "sts" it hands the request for
GetCallerIdentity on to that STS, else the signature is made again with the
secret key.  Written from the reference of the method and from nothing of src/.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import re
import secrets
import threading
import time
import urllib.parse

import sigv4

LOCK = threading.Lock()
TOKENS = {}                     # token -> what lookup-self tells, and "end"
ALLOWED = {"x-amz-algorithm", "x-amz-content-sha256", "x-amz-credential",
           "x-amz-date", "x-amz-security-token", "x-amz-signature",
           "x-amz-signedheaders", "x-amz-user-agent"}
BODY = "Action=GetCallerIdentity&Version=2011-06-15"
STS = re.compile(r"https://sts(?:\.([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?/")
SERVER_ID = "X-Vault-AWS-IAM-Server-ID"

STATE = {
    "mount": "aws",             # of the AWS method
    "role": "app-role",         # that anybody may log in with
    "server_id": "",            # wanted, if set
    "region": "",               # of STS; "": any that the client names
    "sts": "",                  # "host:port" of one that judges
    "keys": {},                 # more of {"secret", "token"}
    "expired": 0,               # AKIDn up to this n have expired
    "skew": 0,                  # seconds that this clock is ahead
    "jwt": "jwt-1",             # of the service account
    "role_id": "role-id-1",
    "secret_id": "secret-id-1",
    "static": "hvs.static-token",   # for those who bring a token
    "token_ttl": 3600,
    "token_max_ttl": 86400,
    "renewable": True,
    "batch": False,             # tokens that nobody can renew or revoke
}


class Refused(Exception):
    def __init__(self, status, *errors):
        super().__init__(str(errors))
        self.status, self.errors = status, list(errors)


def find_key(name):
    if name in STATE["keys"]:
        return STATE["keys"][name]
    if name == "AKIDENV":
        return {"secret": "hidden-env"}
    if name.startswith("AKID") and name[4:].isdigit():
        n = name[4:]
        return {"secret": f"secret-{n}", "token": f"token/{n}+==",
                "expired": int(n) <= STATE["expired"]}
    return None


# Tokens

def issue(policies, metadata, ttl=None):
    token = "hvs." + secrets.token_urlsafe(24)
    ttl = STATE["token_ttl"] if ttl is None else ttl
    now = time.time()
    entry = {
        "accessor": secrets.token_urlsafe(18), "policies": policies,
        "meta": metadata, "creation_time": int(now), "creation_ttl": ttl,
        "renewable": STATE["renewable"], "type":
        "batch" if STATE["batch"] else "service", "end": now + ttl,
        "last": now + STATE["token_max_ttl"]}
    with LOCK:
        TOKENS[token] = entry
    return auth_of(token, entry)


def auth_of(token, entry):
    left = max(0, round(entry["end"] - time.time()))
    return {
        "client_token": token, "accessor": entry["accessor"],
        "policies": entry["policies"], "token_policies": entry["policies"],
        "metadata": entry["meta"], "lease_duration": left,
        "renewable": entry["renewable"], "entity_id": "entity-1",
        "token_type": entry["type"], "orphan": True, "mfa_requirement": None,
        "num_uses": 0}


def find(token):
    """The entry of a token that is good now; or None."""
    if token == STATE["static"]:
        return {"accessor": "static", "policies": ["root"], "meta": None,
                "creation_time": 0, "creation_ttl": 0, "renewable": False,
                "type": "service", "end": time.time() + 10 ** 6,
                "last": time.time() + 10 ** 6}
    with LOCK:
        entry = TOKENS.get(token)
    return entry if entry and entry["end"] > time.time() else None


def renew(token, entry, increment):
    if not entry["renewable"]:
        raise Refused(400, "lease is not renewable")
    wanted = increment or entry["creation_ttl"]
    entry["end"] = min(time.time() + wanted, entry["last"])
    return auth_of(token, entry)


def revoke(token):
    with LOCK:
        TOKENS.pop(token, None)


def revoke_all():
    with LOCK:
        TOKENS.clear()


def lookup(token, entry):
    left = max(0, round(entry["end"] - time.time()))
    return {
        "id": token, "accessor": entry["accessor"],
        "policies": entry["policies"], "path": "auth/aws/login",
        "meta": entry["meta"], "display_name": "aws-app", "num_uses": 0,
        "orphan": True, "creation_time": entry["creation_time"],
        "creation_ttl": entry["creation_ttl"], "ttl": left,
        "explicit_max_ttl": 0, "entity_id": "entity-1",
        "renewable": entry["renewable"], "type": entry["type"]}


# AWS

def decoded(body, name):
    if not body.get(name):
        raise Refused(400, f"missing {name}")
    try:
        return base64.b64decode(body[name], validate=True).decode()
    except (binascii.Error, ValueError, TypeError):
        raise Refused(400, f"failed to base64 decode {name}") from None


def headers_of(body):
    """Pairs, of an object whose values are texts or lists of them."""
    try:
        given = json.loads(decoded(body, "iam_request_headers"))
        pairs = [(name, value) for name, values in given.items()
                 for value in (values if isinstance(values, list)
                               else [values])]
        if not all(isinstance(value, str) for _, value in pairs):
            raise ValueError
    except (ValueError, AttributeError):
        raise Refused(400, "failed to JSON decode iam_request_headers") \
            from None
    return pairs


def check_region(url, scope_region):
    """The host must be STS, and that of the region signed for."""
    match = STS.fullmatch(url)
    if not match:
        raise Refused(400, f"invalid iam_request_url: {url}")
    region = match[1] or "us-east-1"
    if region != scope_region or STATE["region"] not in ("", region):
        raise Refused(400, "error making upstream request: received error "
                      "code 403 from STS: SignatureDoesNotMatch (region)")


def check_server_id(pairs, signed):
    if not STATE["server_id"]:
        return
    values = [value for name, value in pairs
              if name.lower() == SERVER_ID.lower()]
    wrong = (f'missing header "{SERVER_ID}"' if not values
             else f'expected "{STATE["server_id"]}" but got "{values[0]}"'
             if values != [STATE["server_id"]]
             else "vault header wasn't signed"
             if SERVER_ID.lower() not in signed else None)
    if wrong:
        raise Refused(400, f"error validating {SERVER_ID} header: {wrong}")


def check_signature(url, pairs):
    """As STS does: the access key, when all is right."""
    host = urllib.parse.urlsplit(url).netloc
    names = [name.lower() for name, _ in pairs]
    given = dict(zip(names, (value for _, value in pairs)))

    def sts(why):
        return Refused(400, "error making upstream request: received error "
                       f"code 403 from STS: {why}")
    if len(set(names)) != len(names):
        raise sts("a header twice")
    if given.get("host", host) != host:
        raise sts("another host")
    if not given.get("content-type", "").startswith(
            "application/x-www-form-urlencoded"):
        raise sts("content type")
    credential, signed, signature = sigv4.parse_authorization(
        given.get("authorization", ""))
    signed = signed.split(";")
    parts = credential.split("/")
    if len(parts) != 5 or parts[3:] != ["sts", "aws4_request"]:
        raise sts("scope")
    check_region(url, parts[2])
    if signed != sorted(set(signed)) or "host" not in signed \
            or "x-amz-date" not in signed:
        raise sts("signed headers")
    key = find_key(parts[0])
    if key is None or key.get("token") != given.get("x-amz-security-token"):
        raise sts("InvalidClientTokenId")
    if key.get("expired"):
        raise sts("ExpiredToken")
    stamp = given["x-amz-date"]
    when = sigv4.seconds_of(stamp)
    if when is None or stamp[:8] != parts[1] \
            or abs(time.time() + STATE["skew"] - when) > 300:
        raise sts(f"SignatureDoesNotMatch: Signature expired: {stamp}")
    all_pairs = [pair for pair in pairs if pair[0].lower() != "host"]
    request = sigv4.Request("POST", "/", [("Host", host), *all_pairs])
    payload = hashlib.sha256(BODY.encode()).hexdigest()
    text = sigv4.string_to_sign(
        stamp, "/".join(parts[1:]),
        sigv4.canonical_request(request, [], signed, payload))
    want = sigv4.signature(key["secret"], "/".join(parts[1:]), text)
    if not hmac.compare_digest(want, signature):
        raise sts("SignatureDoesNotMatch")
    return parts[0], signed


def ask_sts(url, pairs):
    """Who an STS says it is, and the names of the signed headers."""
    connection = http.client.HTTPConnection(STATE["sts"], timeout=30)
    connection.putrequest("POST", "/", skip_host=True,
                          skip_accept_encoding=True)
    connection.putheader("Host", urllib.parse.urlsplit(url).netloc)
    for name, value in pairs:
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(BODY)))
    connection.endheaders(BODY.encode())
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        code = re.search(r"<Code>(\w+)</Code>", text)
        raise Refused(400, "error making upstream request: received error "
                      f"code {answer.status} from STS: "
                      + (code[1] if code else "?"))
    authorization = dict((name.lower(), value) for name, value in pairs)[
        "authorization"]
    return (re.search(r"<Arn>([^<]+)</Arn>", text)[1],
            sigv4.parse_authorization(authorization)[1].split(";"))


def login_aws(body):
    if body.get("iam_http_request_method") != "POST":
        raise Refused(400, "missing iam_http_request_method")
    url = decoded(body, "iam_request_url")
    form = decoded(body, "iam_request_body")
    if form != BODY:
        raise Refused(400, "iam request body is invalid")
    pairs = headers_of(body)
    for name, _ in pairs:
        if name.lower().startswith("x-amz-") and name.lower() not in ALLOWED:
            raise Refused(400, f"invalid request header: {name}")
    try:
        judge = ask_sts if STATE["sts"] else check_signature
        key, signed = judge(url, pairs)
    except sigv4.Refused as refused:
        raise Refused(400, refused.message) from None
    check_server_id(pairs, signed)
    if body.get("role") != STATE["role"]:
        raise Refused(400, f"entry for role {body.get('role')} not found")
    unknown = set(body) - {"role", "iam_http_request_method",
                           "iam_request_url", "iam_request_body",
                           "iam_request_headers"}
    if unknown:
        raise Refused(400, f"unknown members: {sorted(unknown)}")
    return issue(["app", "default"], {
        "role_id": "role-1", "auth_type": "iam", "account_id": "123456789012",
        "key": key})


# The others

def login_kubernetes(body):
    if set(body) != {"role", "jwt"}:
        raise Refused(400, "missing jwt")
    if body["role"] != STATE["role"]:
        raise Refused(400, f'invalid role name "{body["role"]}"')
    if body["jwt"] != STATE["jwt"]:
        raise Refused(403, "permission denied")
    return issue(["app", "default"], {"service_account_name": "app"})


def login_approle(body):
    if body.get("role_id") != STATE["role_id"] \
            or body.get("secret_id") != STATE["secret_id"]:
        raise Refused(400, "invalid role or secret ID")
    return issue(["app", "default"], {"role_name": "app"})


def login(mount, body):
    if not isinstance(body, dict):
        raise Refused(400, "failed to parse JSON input")
    if mount == STATE["mount"]:
        return login_aws(body)
    if mount == "kubernetes":
        return login_kubernetes(body)
    if mount == "approle":
        return login_approle(body)
    raise Refused(404, f'no handler for route "auth/{mount}/login". '
                  "route entry not found.")
