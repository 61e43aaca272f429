#!/usr/bin/env python3
"""SES as far as the vault knows it: SendEmail of version 2 with a raw message.

    t/peers/ses.py [CERT KEY]      prints its port, then serves until stdin ends

Every request must be signed for the service "ses".  The message is checked as
smtp.py does, and must be from and to whom the request says.  GET /control
tells the state and what was taken, POST /control sets what STATE holds.
"""

import base64
import email
import email.utils
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time

sys.dont_write_bytecode = True
import sigv4                            # noqa: E402
import smtp                             # noqa: E402
from serve import serve                 # noqa: E402
from sigv4 import Refused               # noqa: E402

PATH = "/v2/email/outbound-emails"

STATE = {
    "region": "eu-west-1",
    "skew": 0,                  # seconds that this clock is ahead
    "keys": {"AKIDENV": {"secret": "hidden-env"}},
    "expired": 0,               # AKIDn up to this n have expired
    "fault": "",                # of ERRORS, or "reset", "silent"
    "times": -1,
    "taken": [],
    "requests": 0,
}
ERRORS = {
    "throttled": (429, "TooManyRequestsException",
                  "Maximum sending rate exceeded."),
    "unverified": (400, "MessageRejected", "Email address is not verified."),
    "paused": (400, "SendingPausedException", "Sending paused."),
    "suspended": (400, "AccountSuspendedException", "Account suspended."),
    "mailfrom": (400, "MailFromDomainNotVerifiedException", "MAIL FROM."),
    "bad": (400, "BadRequestException", "Bad request."),
    "denied": (403, "AccessDeniedException",
               "User is not authorized to perform: ses:SendRawEmail"),
    "error": (500, "InternalFailure", "Something broke."),
    "unavailable": (503, "ServiceUnavailable", ""),
}
LOCK = threading.Lock()


def find_key(name):
    if name in STATE["keys"]:
        return STATE["keys"][name]
    if name.startswith("AKID") and name[4:].isdigit():
        n = name[4:]
        return {"secret": f"secret-{n}", "token": f"token/{n}+==",
                "expires": 1 if int(n) <= STATE["expired"] else None}
    return None


def check_signature(request, body, now):
    """As services other than S3 do it, which say less of what is wrong."""
    given = sigv4.header(request, "authorization")
    if not given:
        raise Refused(403, "MissingAuthenticationTokenException", "no keys")
    credential, signed, signature = sigv4.parse_authorization(given)
    signed = signed.split(";")
    access_key, day, region, service, last = credential.split("/")
    if (region, service, last) != (STATE["region"], "ses", "aws4_request"):
        raise Refused(403, "InvalidSignatureException", "wrong scope")
    if "host" not in signed or "x-amz-date" not in signed:
        raise Refused(403, "InvalidSignatureException", "headers not signed")

    key = find_key(access_key)
    token = sigv4.header(request, "x-amz-security-token")
    if key is None or key.get("token") != token:
        raise Refused(403, "UnrecognizedClientException",
                      "The security token included in the request is invalid.")
    if key.get("expires") and now >= key["expires"]:
        raise Refused(403, "ExpiredTokenException", "The security token "
                      "included in the request is expired")

    stamp = sigv4.header(request, "x-amz-date")
    when = sigv4.seconds_of(stamp)
    if when is None or stamp[:8] != day or abs(now - when) > 300:
        raise Refused(403, "InvalidSignatureException",
                      f"Signature expired: {stamp}")

    payload = hashlib.sha256(body).hexdigest()
    scope = credential.partition("/")[2]
    canonical = sigv4.canonical_request(request, [], signed, payload)
    want = sigv4.signature(key["secret"], scope,
                           sigv4.string_to_sign(stamp, scope, canonical))
    if not hmac.compare_digest(want, signature):
        raise Refused(403, "InvalidSignatureException",
                      "The request signature we calculated does not match")


def take(body):
    request = json.loads(body)
    if set(request) != {"FromEmailAddress", "Destination", "Content"}:
        raise Refused(400, "BadRequestException", "members")
    (recipient,) = request["Destination"]["ToAddresses"]
    data = base64.b64decode(request["Content"]["Raw"]["Data"], validate=True)
    message = smtp.check(data)
    headers = email.message_from_bytes(data)
    if email.utils.parseaddr(headers["From"])[1] \
            != request["FromEmailAddress"] or headers["To"] != recipient:
        message["defects"].append("not from or to whom the request says")
    message.update({"from": request["FromEmailAddress"], "to": recipient,
                    "data": data.decode("latin-1")})
    with LOCK:
        STATE["taken"].append(message)
    return {"MessageId": f"{len(STATE['taken']):016x}"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, what, headers=()):
        body = json.dumps(what).encode()
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string(
            time.time() + STATE["skew"]))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, message):
        self.answer(status, {"message": message}, [("x-amzn-ErrorType", code)])

    def fault(self):
        with LOCK:
            if STATE["times"] == 0:
                return ""
            if STATE["fault"] and STATE["times"] > 0:
                STATE["times"] -= 1
            return STATE["fault"]

    def do_GET(self):
        if self.path == "/control":
            self.answer(200, STATE)
        else:
            self.refuse(404, "UnknownOperationException", "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/control":
            with LOCK:
                STATE.update(json.loads(body))
            return self.answer(200, STATE)
        if self.path != PATH:
            return self.refuse(404, "UnknownOperationException", "")
        with LOCK:
            STATE["requests"] += 1
        request = sigv4.Request("POST", self.path, list(self.headers.items()))
        try:
            check_signature(request, body, time.time() + STATE["skew"])
            fault = self.fault()
            if fault in ERRORS:
                return self.refuse(*ERRORS[fault])
            if fault == "reset":
                self.close_connection = True
                return None
            if fault == "silent":
                time.sleep(60)
            return self.answer(200, take(body))
        except Refused as refused:
            return self.refuse(refused.status, refused.code, refused.message)
        except (ValueError, KeyError) as error:
            return self.refuse(400, "BadRequestException", repr(error))


if __name__ == "__main__":
    serve(Handler)
