#!/usr/bin/env python3
"""A HashiCorp Vault, as far as an agent and its clients meet it.

    t/peers/vault.py [CERT KEY [CA]]
                                    prints two ports, then serves until stdin
                                    ends: the Vault's, with TLS if there is a
                                    certificate, and of clients that have
                                    one of CA, if given; and that of /control

It refuses what Vault refuses, and more: a call without X-Vault-Request, with
two tokens, with a path that is not clean.  Logins: vault_login.py; what is
kept: vault_store.py.  Their STATE and the one below are set by POST /control;
GET tells it, with counts and a log of what came.  POST /control also takes

  clear    forget counts and log           forget   all tokens, as if revoked
  secrets  {"secret/x": {…}, "kv/y": {…}}  put into the engines
  fail     [{"op", "path", "kind", "times", "skip", "s"}]   see suffer()
"""

import contextlib
import email.utils
import http.server
import io
import json
import re
import secrets
import hashlib
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True
import vault_login as login             # noqa: E402
import vault_store as store             # noqa: E402
from vault_login import Refused         # noqa: E402

STATE = {
    "sealed": False,
    "standby": 0,               # 307, 429, 473: what any call is answered
    "leader": "",               # where 307 sends to
    "up": True,                 # False: nobody listens
    "namespace": "",            # that each call must name
    "denied": [],               # paths that no policy allows any more
    "delay": 0,                 # seconds before each answer
    "chunked": 2048,            # longer answers come in chunks, as of Go
    "index": "",                # X-Vault-Index of answers
    "held": False,              # while it is, no answer of kind "held" leaves
}
FAULTS = []
COUNTS = {}
LOG = []
WRAPPED = {}                    # token -> envelope
OPEN = set()                    # connections
LOCK = threading.Lock()
PIECE = 65536


class Gone(Exception):
    """The connection ends here, without another word."""


def count(what):
    with LOCK:
        COUNTS[what] = COUNTS.get(what, 0) + 1


def seconds_of(text):
    """Of a duration: 60, 60s, 5m, 1h."""
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if not match:
        raise Refused(400, "error parsing wrap TTL")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, *_):
        pass

    def setup(self):
        context = self.server.context
        if context:
            self.request = context.wrap_socket(self.request, server_side=True)
        count("connections")
        with LOCK:
            OPEN.add(self.request)
        super().setup()

    def finish(self):
        with LOCK:
            OPEN.discard(self.request)
        super().finish()
        self.request.close()

    # Requests

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query, True))
        self.route = urllib.parse.unquote(url.path)
        self.op = self.operation()
        self.entry = {"op": self.op, "method": self.command,
                      "target": self.path, "status": 0,
                      "headers": [[k, v] for k, v in self.headers.items()]}
        with LOCK:
            LOG.append(self.entry)
            del LOG[:-5000]
        count(self.op)
        try:
            fault = self.find_fault()
            time.sleep(STATE["delay"])
            if not fault or not self.suffer(fault):
                self.serve()
        except Refused as refused:
            self.refuse(refused)
        except Gone:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any
    do_LIST = do_PATCH = do_OPTIONS = handle_any

    def operation(self):
        if re.fullmatch("/v1/auth/[^/]+/login", self.route):
            return "login"
        for name, what in (
                ("auth/token/renew-self", "renew"),
                ("auth/token/revoke-self", "revoke"),
                ("auth/token/lookup-self", "lookup"),
                ("sys/leases/renew", "lease-renew"),
                ("sys/leases/revoke", "lease-revoke"),
                ("sys/wrapping/unwrap", "unwrap")):
            if self.route == "/v1/" + name:
                return what
        if self.command == "GET" and self.query.get("list") == "true":
            return "list"
        return {"GET": "read", "HEAD": "read", "PUT": "write",
                "POST": "write", "DELETE": "delete", "LIST": "list",
                "PATCH": "patch"}.get(self.command, "other")

    def pieces(self):
        """Of the body."""
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                if size:
                    yield self.rfile.read(size)
                self.rfile.readline()
                if not size:
                    return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                raise Gone
            left -= len(piece)
            yield piece

    def json_body(self):
        data = b"".join(self.pieces())
        self.drained = True
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise Refused(400, "failed to parse JSON input: invalid "
                          "character") from None

    def check_request(self):
        """What a client of Vault must send, and once."""
        for name in ("X-Vault-Token", "X-Vault-Namespace", "X-Vault-Request",
                     "Content-Length", "Host"):
            if len(self.headers.get_all(name, [])) > 1:
                raise Refused(400, f"{name} is there twice")
        if self.headers.get("X-Vault-Request") != "true":
            raise Refused(400, "missing 'X-Vault-Request' header")
        if "//" in self.route or "/../" in self.route + "/":
            raise Refused(400, "path is not clean")
        given = self.headers.get("X-Vault-Namespace", "").strip("/")
        if given != STATE["namespace"].strip("/"):
            raise Refused(404, f'no handler for route "{self.route[4:]}". '
                          f"route entry not found. (namespace {given!r})")

    def serve(self):
        self.drained = False
        path = self.route[4:]
        if not self.route.startswith("/v1/"):
            raise Refused(404)
        if path in ("sys/health", "sys/seal-status", "sys/leader"):
            return self.tell_health(path)
        if STATE["standby"]:
            return self.stand_by()
        if STATE["sealed"]:
            raise Refused(503, "Vault is sealed")
        self.check_request()
        if self.op == "login":
            auth = login.login(path.split("/")[1], self.json_body())
            return self.envelope(None, {"auth": auth})
        token = self.headers.get("X-Vault-Token", "")
        if not token and self.headers.get("Authorization", ""):
            token = self.headers["Authorization"].partition("Bearer ")[2]
        if self.op == "unwrap":
            return self.unwrap(token)
        entry = login.find(token)
        if entry is None:
            raise Refused(403, "permission denied")
        if path in STATE["denied"]:
            raise Refused(403, "1 error occurred:\n\t* permission denied\n\n")
        return self.serve_path(path, token, entry)

    def serve_path(self, path, token, entry):
        if path.startswith("auth/token/"):
            return self.serve_token(path[11:], token, entry)
        if path == "sys/leases/renew":
            return self.envelope(*store.lease_renew(self.json_body()))
        if path == "sys/leases/revoke":
            return self.envelope(*store.lease_revoke(self.json_body()))
        if path == "sys/storage/raft/snapshot":
            return self.snapshot()
        if path == "sys/monitor":
            return self.monitor()
        if path.startswith("sys/internal/ui/mounts/"):
            mount = path[23:].split("/")[0]
            version = "2" if mount == "secret" else "1"
            return self.envelope({"path": mount + "/", "type": "kv",
                                  "options": {"version": version}}, {})
        body = self.json_body() if self.op in ("write", "patch") else None
        if self.op == "patch" and self.headers.get("Content-Type") \
                != "application/merge-patch+json":
            raise Refused(415, "PATCH requires Content-Type of "
                          "application/merge-patch+json, provided "
                          + str(self.headers.get("Content-Type")))
        data, rest = store.handle(self.op, path.rstrip("/"), body, self.query)
        return self.envelope(data, rest)

    def serve_token(self, what, token, entry):
        if what == "lookup-self":
            return self.envelope(login.lookup(token, entry), {})
        if what == "revoke-self":
            login.revoke(token)
            return self.send_json(204, None)
        if what == "renew-self":
            wish = (self.json_body() or {}).get("increment") or 0
            wish = seconds_of(str(wish))
            return self.envelope(None,
                                 {"auth": login.renew(token, entry, wish)})
        if what == "create":
            wish = self.json_body() or {}
            return self.envelope(None, {"auth": login.issue(
                wish.get("policies") or ["default"], None)})
        raise Refused(404, "unsupported path")

    # Other answers

    def stand_by(self):
        status = STATE["standby"]
        if status == 307:
            return self.send_json(307, None, [
                ("Location", STATE["leader"] + self.path)])
        return self.send_json(status, {"errors": []})

    def tell_health(self, path):
        status = 503 if STATE["sealed"] else STATE["standby"] or 200
        if path == "sys/leader":
            return self.send_json(200, {
                "ha_enabled": True, "is_self": not STATE["standby"],
                "leader_address": STATE["leader"]})
        what = {"initialized": True, "sealed": STATE["sealed"],
                "standby": bool(STATE["standby"]), "version": "1.99.0"}
        return self.send_json(status if path == "sys/health" else 200, what)

    def snapshot(self):
        """?n= bytes, or the hash of those that are sent."""
        if self.command == "GET":
            left = int(self.query["n"])
            self.begin(200, [("Content-Type", "application/gzip"),
                             ("Content-Length", str(left))])
            while left:
                piece = min(left, PIECE)
                self.wfile.write(b"s" * piece)
                left -= piece
            return None
        digest, size = hashlib.sha256(), 0
        for piece in self.pieces():
            digest.update(piece)
            size += len(piece)
        self.drained = True
        return self.envelope({"size": size, "sha256": digest.hexdigest()}, {})

    def monitor(self):
        """?n= lines, one each &s= seconds: a stream."""
        self.begin(200, [("Content-Type", "text/plain"),
                         ("Transfer-Encoding", "chunked")])
        for n in range(int(self.query.get("n", 3))):
            line = f"line {n}\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
            time.sleep(float(self.query.get("s", 0.1)))
        self.wfile.write(b"0\r\n\r\n")

    def unwrap(self, token):
        body = self.json_body() or {}
        with LOCK:
            envelope = WRAPPED.pop(body.get("token") or token, None)
        if envelope is None:
            raise Refused(400, "wrapping token is not valid or does not "
                          "exist")
        self.send_json(200, envelope)

    # Answers

    def envelope(self, data, rest):
        if data is None and not rest:
            return self.send_json(204, None)
        what = {"request_id": secrets.token_hex(16), "lease_id": "",
                "renewable": False, "lease_duration": 0, "data": data,
                "wrap_info": None, "warnings": None, "auth": None, **rest}
        wrap = self.headers.get("X-Vault-Wrap-TTL")
        if wrap:
            what = self.wrap(what, seconds_of(wrap))
        return self.send_json(200, what)

    def wrap(self, envelope, ttl):
        token = "hvs.wrapped-" + secrets.token_urlsafe(12)
        with LOCK:
            WRAPPED[token] = envelope
        return {"request_id": secrets.token_hex(16), "lease_id": "",
                "renewable": False, "lease_duration": 0, "data": None,
                "warnings": None, "auth": None, "wrap_info": {
                    "token": token, "accessor": secrets.token_hex(8),
                    "ttl": ttl, "creation_time": store.stamp(),
                    "creation_path": self.route[4:]}}

    def refuse(self, refused):
        what = {"errors": refused.errors}
        if getattr(refused, "data", None):      # a deleted version
            return self.envelope_error(refused)
        return self.send_json(refused.status, what)

    def envelope_error(self, refused):
        self.send_json(refused.status, {
            "request_id": secrets.token_hex(16), "lease_id": "",
            "renewable": False, "lease_duration": 0, "data": refused.data,
            "wrap_info": None, "warnings": None, "auth": None})

    def begin(self, status, headers):
        if not self.drained:
            for _ in self.pieces():
                pass
        self.entry["status"] = status
        self.send_response_only(status)
        self.send_header("Date", email.utils.formatdate(
            time.time() + login.STATE["skew"], usegmt=True))
        self.send_header("Cache-Control", "no-store")
        if STATE["index"]:
            self.send_header("X-Vault-Index", STATE["index"])
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    drained = False

    def send_json(self, status, what, headers=()):
        body = b"" if what is None else json.dumps(what).encode() + b"\n"
        headers = list(headers)
        if body:
            headers.append(("Content-Type", "application/json"))
        if len(body) > STATE["chunked"] and self.command != "HEAD":
            self.begin(status, headers + [("Transfer-Encoding", "chunked")])
            for start in range(0, len(body), 4096):
                piece = body[start:start + 4096]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        if status != 204:
            headers.append(("Content-Length", str(len(body))))
        self.begin(status, headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    # Faults

    def find_fault(self):
        with LOCK:
            for fault in FAULTS:
                if fault.get("op", "any") not in ("any", self.op) \
                        or not re.search(fault.get("path", ""), self.path):
                    continue
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                fault["times"] = fault.get("times", 1) - 1
                if fault["times"] == 0:
                    FAULTS.remove(fault)
                return fault
        return None

    def suffer(self, fault):
        """True if that was the answer."""
        kind = fault["kind"]
        self.entry["fault"] = kind
        if kind.isdigit():
            raise Refused(int(kind), fault.get("error", "injected error"))
        if kind == "slow":
            time.sleep(fault.get("s", 1))
            return False
        if kind == "lost":              # does it, and says nothing
            self.wfile = open("/dev/null", "wb")
            self.serve()
            raise Gone
        if kind == "held":              # does it, and says it later
            return self.hold()
        for _ in self.pieces() if kind != "reset" else ():
            pass
        self.drained = True
        getattr(self, "suffer_" + kind.replace("-", "_"))(fault)
        return True

    def hold(self):
        out, self.wfile = self.wfile, io.BytesIO()
        self.serve()
        while STATE["held"]:
            time.sleep(0.01)
        out.write(self.wfile.getvalue())
        self.wfile = out
        return True

    def suffer_close(self, fault):
        raise Gone

    def suffer_reset(self, fault):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        raise Gone

    def suffer_silent(self, fault):
        self.connection.settimeout(fault.get("s", 60))
        try:
            self.connection.recv(1)
        except OSError:
            pass
        raise Gone

    def suffer_short(self, fault):
        """Half of what it announces, then the end."""
        self.begin(200, [("Content-Type", "application/json"),
                         ("Content-Length", "1000")])
        self.wfile.write(b'{"data": {"password": "half-a-secret')
        self.wfile.flush()
        time.sleep(fault.get("s", 0))
        raise Gone

    def suffer_short_chunk(self, fault):
        self.begin(200, [("Content-Type", "application/json"),
                         ("Transfer-Encoding", "chunked")])
        self.wfile.write(b'100\r\n{"data": {"password": "half-a-secret')
        raise Gone

    def suffer_garbage(self, fault):
        self.wfile.write(b"\0\1\2 this is no HTTP {hidden-garbage}\r\n\r\n")
        raise Gone

    def suffer_badjson(self, fault):
        self.send_bytes(200, b'{"data": {"password": "hidden-json"')

    def suffer_html(self, fault):
        self.send_bytes(200, b"<html>hidden-html</html>", "text/html")

    def suffer_longhead(self, fault):
        self.begin(200, [("X-Long", "x" * 100_000), ("Content-Length", "0")])

    def suffer_oversized(self, fault):
        body = b'{"data": {"x": "' + b"x" * (4 << 20) + b'"}}'
        self.send_bytes(200, body)

    def send_bytes(self, status, body, kind="application/json"):
        self.begin(status, [("Content-Type", kind),
                            ("Content-Length", str(len(body)))])
        self.wfile.write(body)


class Control(http.server.BaseHTTPRequestHandler):
    """Beside the Vault, so that asking for the counts changes none."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        with LOCK:
            what = {**login.STATE, **store.STATE, **STATE,
                    "counts": dict(COUNTS), "log": list(LOG),
                    "faults": list(FAULTS), "leases": store.LEASES,
                    "tokens": {t: e["end"] for t, e in login.TOKENS.items()}}
        body = json.dumps(what).encode()
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        set_state(json.loads(self.rfile.read(size)))
        self.server.vault.follow()
        self.do_GET()


def put(path, data):
    mount, _, rest = path.partition("/")
    if mount == "secret":
        store.kv2_write(rest, {"data": data}, False)
    else:
        store.KV1[rest] = data


def set_state(wish):
    with LOCK:
        if wish.pop("clear", False):
            COUNTS.clear()
            LOG.clear()
        if "fail" in wish:
            FAULTS[:] = wish.pop("fail")
    if wish.pop("forget", False):
        login.revoke_all()
    for path, data in wish.pop("secrets", {}).items():
        put(path, data)
    for state in (login.STATE, store.STATE, STATE):
        for name in [name for name in wish if name in state]:
            state[name] = wish.pop(name)
    if wish:
        raise ValueError(f"nothing to set: {list(wish)}")


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    context = None
    vault = None

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, Gone)):
            super().handle_error(request, client_address)


class Vault:
    """The server that may go and come back, on the same port."""

    def __init__(self, context):
        self.context = context
        self.server = None
        self.port = 0
        self.follow()

    def follow(self):
        if STATE["up"] and not self.server:
            self.server = Server(("127.0.0.1", self.port), Handler)
            self.server.context = self.context
            self.port = self.server.server_address[1]
            threading.Thread(target=self.server.serve_forever, args=(0.05,),
                             daemon=True).start()
        elif not STATE["up"] and self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
            with LOCK:
                for sock in OPEN:
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)


def main():
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
    if len(sys.argv) > 3:
        context.load_verify_locations(sys.argv[3])
        context.verify_mode = ssl.CERT_REQUIRED
    Server.daemon_threads = True
    Server.block_on_close = False
    vault = Vault(context)
    control = Server(("127.0.0.1", 0), Control)
    control.vault = vault
    threading.Thread(target=control.serve_forever, daemon=True).start()
    print(vault.port, control.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
