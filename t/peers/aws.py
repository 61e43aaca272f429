#!/usr/bin/env python3
"""The places that AWS credentials come from, on one port of loopback.

    t/peers/aws.py [CERT KEY]      prints its port, then serves until stdin ends

  /latest/...      metadata of an instance, version 2 only
  /container       the endpoint of a container
  POST /           STS, AssumeRoleWithWebIdentity and AssumeRole
  /http/...        a plain server with odd manners, for net/

Each of the first three counts what it was asked and gives keys with a number:
AKIDn, secret "secret-n".  GET /control tells the counts, POST /control sets
some of the state below.
"""

import datetime
import hashlib
import http.server
import json
import secrets
import sys
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True
import sigv4                            # noqa: E402
from serve import serve                 # noqa: E402

STATE = {
    "ttl": 3600,                # seconds that keys live
    "fail": 0,                  # status to answer instead, 0: none
    "delay": 0,                 # seconds before any answer with keys
    "authorization": "",        # what the container must send
    "identity": "identity-1",   # the token that STS takes
    "role": "vault-role",
    "region": "eu-west-1",
}
COUNTS = {"token": 0, "instance": 0, "container": 0, "sts": 0, "issued": 0}
TOKENS = {}
LOCK = threading.Lock()

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def issue():
    """New keys: number, secret, session token, expiry."""
    with LOCK:
        COUNTS["issued"] += 1
        number = COUNTS["issued"]
    expires = (datetime.datetime.now(datetime.timezone.utc)
               + datetime.timedelta(seconds=STATE["ttl"]))
    return {
        "AccessKeyId": f"AKID{number}",
        "SecretAccessKey": f"secret-{number}",
        "Token": f"token/{number}+==",
        "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="text/plain", headers=()):
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body, kind = json.dumps(body).encode(), "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 204:
            body = b""
        else:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.wfile.write(body)
            except OSError:     # who asked has left
                self.close_connection = True

    def count(self, what):
        with LOCK:
            COUNTS[what] += 1

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/control":
            return self.control()
        if url.path.startswith("/http/"):
            return self.plain(url.path[6:])
        if url.path.startswith("/latest/"):
            return self.metadata(url.path)
        if url.path == "/container":
            return self.container()
        if url.path == "/" and self.command == "POST":
            return self.sts()
        return self.answer(404)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def control(self):
        if self.command == "POST":
            STATE.update(json.loads(self.body))
        self.answer(200, {**STATE, **COUNTS})

    def misbehaves(self):
        time.sleep(STATE["delay"])
        if STATE["fail"]:
            self.answer(STATE["fail"], "no")
            return True
        return False

    def metadata(self, path):
        if path == "/latest/api/token":
            return self.metadata_token()
        self.count("instance")
        expires = TOKENS.get(self.headers.get("x-aws-ec2-metadata-token"), 0)
        if self.command != "GET" or expires < time.time():
            return self.answer(401)
        if self.misbehaves():
            return None
        folder = "/latest/meta-data/iam/security-credentials/"
        if path == folder and STATE["role"]:
            return self.answer(200, STATE["role"])
        if path == folder + STATE["role"]:
            return self.answer(200, {"Code": "Success", "Type": "AWS-HMAC",
                                     **issue()})
        if path == "/latest/meta-data/placement/region":
            return self.answer(200, STATE["region"])
        return self.answer(404)

    def metadata_token(self):
        self.count("token")
        if self.command != "PUT":
            return self.answer(405)
        if self.headers.get("X-Forwarded-For"):
            return self.answer(403)
        ttl = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return self.answer(400)
        token = secrets.token_urlsafe(40)
        TOKENS[token] = time.time() + int(ttl)
        return self.answer(200, token, headers=[
            ("x-aws-ec2-metadata-token-ttl-seconds", ttl)])

    def container(self):
        self.count("container")
        if self.headers.get("Authorization", "") != STATE["authorization"]:
            return self.answer(401, {"message": "not you"})
        if self.misbehaves():
            return None
        return self.answer(200, {"RoleArn": "arn", **issue()})

    def sts(self):
        self.count("sts")
        if self.misbehaves():
            return None
        if (self.headers.get("Content-Type")
                != "application/x-www-form-urlencoded"):
            return self.sts_error("InvalidAction")
        form = dict(urllib.parse.parse_qsl(self.body.decode()))
        if form.get("Version") != "2011-06-15":
            return self.sts_error("InvalidAction")
        if form.get("Action") == "AssumeRole":
            return self.assume_role(form)
        if form.get("Action") != "AssumeRoleWithWebIdentity":
            return self.sts_error("InvalidAction")
        if not form.get("RoleArn", "").startswith("arn:aws:iam::"):
            return self.sts_error("ValidationError")
        if len(form.get("RoleSessionName", "")) < 2:
            return self.sts_error("ValidationError")
        if form.get("WebIdentityToken") != STATE["identity"]:
            return self.sts_error("InvalidIdentityToken")
        return self.sts_keys("AssumeRoleWithWebIdentity",
                             "<SubjectFromWebIdentityToken>sub"
                             "</SubjectFromWebIdentityToken>")

    def assume_role(self, form):
        """Signed by AKIDENV, of any region."""
        if self.signature_is_wrong():
            return self.sts_error("SignatureDoesNotMatch")
        if not form.get("RoleArn", "").startswith("arn:aws:iam::"):
            return self.sts_error("ValidationError")
        if form["RoleArn"].endswith("/forbidden"):
            return self.sts_error("AccessDenied")
        with LOCK:
            STATE["session"] = form.get("RoleSessionName")
        return self.sts_keys("AssumeRole", "")

    def signature_is_wrong(self):
        credential, signed, signature = sigv4.parse_authorization(
            self.headers.get("Authorization", ""))
        parts = credential.split("/")
        signed = signed.split(";")
        if parts[0] != "AKIDENV" or parts[3:] != ["sts", "aws4_request"] \
                or not {"host", "x-amz-date"} <= set(signed):
            return True
        request = sigv4.Request("POST", "/", list(self.headers.items()))
        text = sigv4.string_to_sign(
            self.headers["X-Amz-Date"], "/".join(parts[1:]),
            sigv4.canonical_request(request, [], signed,
                                    hashlib.sha256(self.body).hexdigest()))
        return signature != sigv4.signature(
            "hidden-env", "/".join(parts[1:]), text)

    def sts_keys(self, action, more):
        keys = issue()
        return self.answer(200, (
            f'<{action}Response xmlns="{NAMESPACE}">'
            f"<{action}Result>{more}"
            "<Credentials>"
            f"<SessionToken>{keys['Token']}</SessionToken>"
            f"<SecretAccessKey>{keys['SecretAccessKey']}</SecretAccessKey>"
            f"<Expiration>{keys['Expiration']}</Expiration>"
            f"<AccessKeyId>{keys['AccessKeyId']}</AccessKeyId>"
            f"</Credentials></{action}Result></{action}Response>"),
            "text/xml")

    def sts_error(self, code):
        self.answer(400, (
            f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type>'
            f"<Code>{code}</Code><Message>no</Message></Error>"
            "</ErrorResponse>"), "text/xml")

    def plain(self, what):
        if what == "echo":
            self.answer(200, {"method": self.command,
                              "headers": dict(self.headers),
                              "body": self.body.decode()})
        elif what == "big":
            self.answer(200, b"x" * int(self.query["n"]))
        elif what == "redirect":
            self.answer(302, "elsewhere",
                        headers=[("Location", "/http/echo")])
        elif what == "headers":
            self.answer(200, "many", headers=[
                (f"X-Many-{n}", "x" * 100) for n in range(200)])
        elif what == "slow":
            time.sleep(float(self.query["s"]))
            self.answer(200, "at last")
        elif what == "status":
            self.answer(int(self.query["n"]), "so be it")
        elif what == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
            self.close_connection = True
        elif what == "nothing":
            self.close_connection = True
        else:
            self.answer(404)


if __name__ == "__main__":
    serve(Handler)
