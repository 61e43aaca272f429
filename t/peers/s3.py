#!/usr/bin/env python3
"""S3 as far as the vault knows it, and strict about it.

    t/peers/s3.py [CERT KEY]     prints its port, then serves until stdin ends
    t/peers/s3.py --self-test    AWS's published examples, as TAP

PUT, GET, HEAD and DELETE of objects, POST ?delete of many, ListObjectsV2; the
bucket is the first part of the path or of the host.  Every request must be
signed (sigv4.py).  With a certificate the port speaks TLS, and plain HTTP for
/control only.

Keys: AKIAIOSFODNN7EXAMPLE with AWS's published secret, and those that aws.py
gives out: AKIDn, "secret-n", session token "token/n+==".

GET /control tells the state, the counts, the objects and a log of requests.
POST /control sets what STATE holds below, and takes

  {"clear": true}              forgets log, counts and faults
  {"wipe": true}               and all objects
  {"drop": ["key"]}            removes objects without being asked by S3's API
  {"truncate": {"key": 5}}     cuts one off
  {"fail": [{"op": "PUT", "kind": "503", "times": 2, "skip": 1}]}

An op is PUT, GET, HEAD, DELETE, DELETES, LIST or *; a fault strikes after the
signature has been found good, `times` times (default 1) after `skip` requests.
Kinds:

  500 503 SlowDown 403 404 ExpiredToken RequestTimeTooSkewed    answers of S3
  redirect    307 to elsewhere
  reset       the connection, at once
  reset-mid   in the middle of the body that is sent or received
  close       without an answer
  lost        does it, then resets instead of answering
  garbage     bytes that are no HTTP
  short       an answer that ends early
  slow        the answer comes after `seconds` (default 2)
  trickle     the answer comes a byte a time, `seconds` (0.2) apart
  silent      no answer until the peer leaves
  stall       and does not even read the body
  keys        ?delete answers 200 with an error for each key
"""

import base64
import hashlib
import http.server
import json
import os
import shutil
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree
import zlib
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True
import sigv4                            # noqa: E402
from sigv4 import Refused               # noqa: E402

STATE = {
    "region": "us-east-1",
    "skew": 0,                  # seconds that this clock is ahead
    "buckets": ["vault", "examplebucket"],
    "keys": {},                 # more of {"secret", "token", "expires"}
    "expired": 0,               # AKIDn up to this n have expired
    "list": True,               # may callers know that an object is missing?
    "idle": 60,                 # seconds that a connection may say nothing
    "max": 5 * 1024 ** 3,       # bytes of one object
}
ANSWERS = {
    "500": (500, "InternalError", "We encountered an internal error. "
            "Please try again."),
    "503": (503, "ServiceUnavailable", "Service is unable to handle request."),
    "SlowDown": (503, "SlowDown", "Please reduce your request rate."),
    "403": (403, "AccessDenied", "Access Denied"),
    "404": (404, "NoSuchBucket", "The specified bucket does not exist"),
    "ExpiredToken": (400, "ExpiredToken", "The provided token has expired."),
    "RequestTimeTooSkewed": (
        403, "RequestTimeTooSkewed", "The difference between the request time "
        "and the current time is too large."),
}
STORAGE_CLASSES = ["STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA",
                   "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER",
                   "DEEP_ARCHIVE", "GLACIER_IR", "EXPRESS_ONEZONE"]
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PIECE = 256 * 1024

LOCK = threading.Lock()
OBJECTS = {}                    # (bucket, key) -> its description
FAULTS = []
LOG = []
COUNTS = {}
FOLDER = None
NUMBER = 0


def number():
    global NUMBER
    with LOCK:
        NUMBER += 1
        return NUMBER


def now():
    return time.time() + STATE["skew"]


def date(seconds):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


def find_key(name):
    if name in STATE["keys"]:
        return STATE["keys"][name]
    if name == "AKIAIOSFODNN7EXAMPLE":
        return sigv4.EXAMPLE_KEY
    if name.startswith("AKID") and name[4:].isdigit():
        n = name[4:]
        return {"secret": f"secret-{n}", "token": f"token/{n}+==",
                "expires": 1 if int(n) <= STATE["expired"] else None}
    return None


def missing(key):
    if STATE["list"]:
        return Refused(404, "NoSuchKey", "The specified key does not exist.",
                       Key=key)
    return Refused(403, "AccessDenied", "Access Denied")


class Hashes:
    """What a body turns out to be, while it comes."""

    KINDS = {"md5": hashlib.md5, "sha1": hashlib.sha1,
             "sha256": hashlib.sha256}

    def __init__(self, wanted):
        self.hashes = {name: self.KINDS[name]() for name in wanted
                       if name != "crc32"}
        self.crc = 0 if "crc32" in wanted else None

    def update(self, piece):
        for each in self.hashes.values():
            each.update(piece)
        if self.crc is not None:
            self.crc = zlib.crc32(piece, self.crc)

    def digest(self, name):
        if name == "crc32":
            return struct.pack(">I", self.crc)
        return self.hashes[name].digest()


class Gone(Exception):
    """The connection ends here, without another word."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def setup(self):
        context = self.server.context
        self.request.settimeout(STATE["idle"])
        self.tls = False
        first = self.request.recv(1, socket.MSG_PEEK)
        if first == b"\x16":
            if context is None:
                raise OSError("TLS, and no certificate")
            self.request = context.wrap_socket(self.request, server_side=True)
            self.tls = True
        self.connection_number = number()
        super().setup()

    def finish(self):
        super().finish()
        if self.tls:            # the server knows the socket below only
            self.request.close()

    def date_time_string(self, timestamp=None):
        return date(now() if timestamp is None else timestamp)

    def version_string(self):
        return "AmazonS3"

    # Requests

    def handle_any(self):
        self.target = self.requestline.split(" ")[1]
        self.left = int(self.headers.get("Content-Length") or 0)
        self.number = number()
        self.after = None
        if self.target.split("?")[0] == "/control":
            return self.control()
        if self.server.context and not self.tls:
            return self.end(b"HTTP/1.1 400 TLS, please\r\n\r\n")
        try:
            self.entry = self.begin()
            self.checked = {}
            self.serve()
        except Refused as refused:
            self.refuse(refused)
        except Gone:
            self.close_connection = True
        return None

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def begin(self):
        """Says in the log what came; the answer is added later."""
        path, self.pairs = sigv4.split_target(self.target)
        self.query = {name.decode("latin-1"): value.decode("latin-1")
                      for name, value in self.pairs}
        self.find_bucket(path.decode("utf-8", "replace"))
        self.op = self.operation()
        entry = {
            "op": self.op, "bucket": self.bucket, "key": self.key,
            "method": self.command, "target": self.target,
            "headers": {k.lower(): v for k, v in self.headers.items()},
            "connection": self.connection_number, "tls": self.tls,
            "status": 0}
        with LOCK:
            LOG.append(entry)
            del LOG[:-10000]
            COUNTS[self.op] = COUNTS.get(self.op, 0) + 1
        return entry

    def find_bucket(self, path):
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0].lower()
        for bucket in STATE["buckets"]:
            if host.startswith(bucket + "."):
                self.bucket, self.key = bucket, path[1:]
                return
        self.bucket, _, self.key = path[1:].partition("/")

    def operation(self):
        if self.command == "POST":
            return "DELETES" if "delete" in self.query else "POST"
        return "LIST" if self.command == "GET" and not self.key \
            else self.command

    def serve(self):
        pairs = list(self.headers.items())
        self.checked = sigv4.check(
            sigv4.Request(self.command, self.target, pairs), find_key,
            STATE["region"], now())
        self.entry["by"] = self.checked["by"]
        self.entry["access_key"] = self.checked["key"]

        fault = self.find_fault()
        if fault:
            self.entry["fault"] = fault["kind"]
            self.suffer(fault)

        if self.bucket not in STATE["buckets"]:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not "
                          "exist", BucketName=self.bucket)
        serve = {"PUT": self.put, "GET": self.get, "HEAD": self.get,
                 "DELETE": self.delete, "DELETES": self.delete_many,
                 "LIST": self.list}.get(self.op)
        if not serve or (not self.key and self.op in ("PUT", "DELETE")):
            raise Refused(405, "MethodNotAllowed", "The specified method is "
                          "not allowed against this resource.")
        if fault and fault["kind"] in ("lost", "slow", "trickle", "short",
                                       "reset-mid", "keys"):
            self.after = fault
        serve()

    # Faults

    def find_fault(self):
        with LOCK:
            for fault in FAULTS:
                if fault["op"] not in (self.op, "*"):
                    continue
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                fault["times"] = fault.get("times", 1) - 1
                if fault["times"] <= 0:
                    FAULTS.remove(fault)
                return dict(fault)
        return None

    def suffer(self, fault):
        """What strikes before the request is served."""
        kind = fault["kind"]
        if kind in ANSWERS:
            status, code, message = ANSWERS[kind]
            raise Refused(status, code, message)
        if kind == "redirect":
            raise Refused(307, "TemporaryRedirect", "Please re-send this "
                          "request to the specified temporary endpoint.",
                          Endpoint="elsewhere.example.com")
        if kind == "reset":
            self.reset()
        if kind == "close":
            raise Gone
        if kind == "reset-mid" and self.left:
            half = self.left // 2
            while self.left > half:
                self.read_piece(self.left - half)
            self.reset()
        if kind == "garbage":
            self.drain()
            self.end(b"\x16\x03 this is no HTTP\r\n\r\n" * 20)
            raise Gone
        if kind == "silent":
            self.drain()
        if kind in ("silent", "stall"):
            self.wait_until_left()
            raise Gone

    def wait_until_left(self):
        """Until the other side closes, at most a minute."""
        end = time.time() + 60
        while time.time() < end:
            try:
                if not self.request.recv(1, 0 if self.tls
                                         else socket.MSG_PEEK):
                    return
            except OSError:
                return
            time.sleep(0.05)

    def reset(self):
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
        self.request.close()
        raise Gone

    # Bodies

    def read_piece(self, most):
        piece = self.rfile.read(min(most, PIECE))
        if not piece:
            raise Gone
        self.left -= len(piece)
        return piece

    def drain(self):
        while self.left:
            self.read_piece(self.left)

    def length(self):
        if self.headers.get("Transfer-Encoding"):
            raise Refused(501, "NotImplemented", "A header you provided "
                          "implies functionality that is not implemented",
                          Header="Transfer-Encoding")
        if self.headers.get("Content-Length") is None:
            raise Refused(411, "MissingContentLength", "You must provide the "
                          "Content-Length HTTP header.")
        return self.left

    def wanted_hashes(self):
        """Name -> digest, of what the headers say that the body is."""
        wanted = {}
        payload = self.checked["payload"]
        if payload != sigv4.UNSIGNED:
            wanted["sha256"] = bytes.fromhex(payload)
        for name, title in (("md5", "Content-MD5"),
                            ("sha1", "x-amz-checksum-sha1"),
                            ("sha256", "x-amz-checksum-sha256"),
                            ("crc32", "x-amz-checksum-crc32")):
            text = self.headers.get(title)
            if text is None:
                continue
            try:
                value = base64.b64decode(text, validate=True)
            except ValueError:
                value = b""
            if len(value) != {"md5": 16, "sha1": 20, "sha256": 32,
                              "crc32": 4}[name]:
                raise Refused(400, "InvalidDigest", f"The {title} you "
                              "specified is not valid.")
            if wanted.setdefault(name, value) != value:
                raise Refused(400, "BadDigest", f"{title} and the signed "
                              "payload differ")
        return wanted

    def receive(self, out, etag):
        wanted = self.wanted_hashes()
        hashes = Hashes({*wanted, "md5"} if etag else wanted)
        while self.left:
            piece = self.read_piece(self.left)
            hashes.update(piece)
            out.write(piece)
        for name, value in wanted.items():
            if hashes.digest(name) == value:
                continue
            if name == "sha256" and self.checked["payload"] == value.hex():
                raise Refused(400, "XAmzContentSHA256Mismatch", "The provided "
                              "'x-amz-content-sha256' header does not match "
                              "what was computed.")
            raise Refused(400, "BadDigest", f"The {name} you specified did "
                          "not match what we received.")
        return hashes.digest("md5").hex() if etag else None

    # Answers

    def answer(self, status, body=b"", headers=()):
        self.entry["status"] = status
        lines = [(name, value) for name, value in headers]
        if status != 204 and "Content-Length" not in dict(lines):
            lines.append(("Content-Length", str(len(body))))
        self.hesitate()
        self.send_response(status)
        self.send_header("x-amz-request-id", f"REQ{self.number:013}")
        self.send_header("x-amz-id-2", f"host+{self.number}/==")
        for name, value in lines:
            self.send_header(name, value)
        if self.left:
            self.send_header("Connection", "close")
            self.close_connection = True
        head = b"".join(self._headers_buffer) + b"\r\n"
        self._headers_buffer = []
        self.send(head, b"" if self.command == "HEAD" else body)
        if self.left:
            self.linger()

    def hesitate(self):
        fault = self.after or {}
        kind = fault.get("kind")
        if kind == "lost":
            self.reset()
        if kind == "slow":
            time.sleep(fault.get("seconds", 2))
        if kind == "short":
            self.close_connection = True

    def send(self, head, body):
        kind = (self.after or {}).get("kind")
        data = head + body
        if kind in ("short", "reset-mid"):
            data = data[:-1 - len(body) // 2]
        try:
            if kind == "trickle":
                for i in range(len(data)):
                    self.wfile.write(data[i:i + 1])
                    time.sleep(self.after.get("seconds", 0.2))
            else:
                self.wfile.write(data)
        except OSError:
            raise Gone from None
        if kind == "reset-mid":
            time.sleep(0.05)    # so that what was sent is seen
            self.reset()
        if kind == "short":
            raise Gone

    def linger(self):
        """Lets who still sends see the answer, for a while."""
        try:
            self.request.settimeout(1)
            for _ in range(40):
                if not self.left:
                    break
                self.read_piece(self.left)
        except (OSError, Gone):
            pass

    def end(self, data):
        try:
            self.wfile.write(data)
        except OSError:
            pass
        self.close_connection = True

    def refuse(self, refused):
        self.entry["code"] = refused.code
        # as S3 does: little is read to its end, much is not
        if refused.status != 411 and self.left <= 1024 * 1024:
            try:
                self.drain()
            except (Gone, OSError):
                self.close_connection = True
                return
        fields = {"Code": refused.code, "Message": refused.message,
                  **refused.fields, "Resource": self.target.split("?")[0],
                  "RequestId": f"REQ{self.number:013}",
                  "HostId": f"host+{self.number}/=="}
        body = "".join(f"<{name}>{escape(value)}</{name}>"
                       for name, value in fields.items())
        try:
            self.answer(refused.status, (
                '<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<Error>{body}</Error>").encode(),
                [("Content-Type", "application/xml")])
        except Gone:
            self.close_connection = True

    # Operations

    def put(self):
        size = self.length()
        if size > STATE["max"]:
            raise Refused(400, "EntityTooLarge", "Your proposed upload exceeds "
                          "the maximum allowed size", ProposedSize=str(size))
        if (self.headers.get("If-None-Match") == "*"
                and (self.bucket, self.key) in OBJECTS):
            raise Refused(412, "PreconditionFailed", "At least one of the "
                          "pre-conditions you specified did not hold",
                          Condition="If-None-Match")
        meta = self.object_headers()
        path = f"{FOLDER}/{self.number}"
        try:
            with open(path, "wb") as out:
                etag = self.receive(out, True)
        except BaseException:
            os.unlink(path)
            raise
        with LOCK:
            old = OBJECTS.get((self.bucket, self.key))
            OBJECTS[self.bucket, self.key] = {
                "path": path, "size": size, "etag": f'"{etag}"',
                "modified": now(), "meta": meta}
        if old:
            os.unlink(old["path"])
        self.answer(200, headers=[
            ("ETag", f'"{etag}"'),
            *((k, v) for k, v in meta.items() if "encryption" in k)])

    def object_headers(self):
        """What is kept with an object; x-amz- ones may come by the query."""
        meta = {}
        for name, value in [*self.query.items(), *self.headers.items()]:
            name = name.lower()
            if name == "content-type" or name.startswith((
                    "x-amz-server-side-encryption", "x-amz-storage-class",
                    "x-amz-meta-")):
                meta[name] = value
        kept = meta.get("x-amz-storage-class", "STANDARD")
        if kept not in STORAGE_CLASSES:
            raise Refused(400, "InvalidStorageClass", "The storage class you "
                          "specified is not valid", StorageClassRequested=kept)
        mode = meta.get("x-amz-server-side-encryption")
        key = meta.get("x-amz-server-side-encryption-aws-kms-key-id")
        if mode not in (None, "AES256", "aws:kms", "aws:kms:dsse") or (
                key and not (mode or "").startswith("aws:kms")):
            raise Refused(400, "InvalidArgument", "The encryption method "
                          "specified is not supported")
        return meta

    def get(self):
        found = OBJECTS.get((self.bucket, self.key))
        if self.headers.get("x-amz-server-side-encryption"):
            raise Refused(400, "InvalidArgument", "x-amz-server-side-"
                          "encryption header is not supported for this "
                          "operation.")
        if not found:
            raise missing(self.key)
        size = found["size"]
        first, last, status = self.range_of(size)
        headers = [("ETag", found["etag"]), ("Accept-Ranges", "bytes"),
                   ("Last-Modified", date(found["modified"])),
                   ("Content-Length", str(last - first + 1))]
        if status == 206:
            headers.append(("Content-Range", f"bytes {first}-{last}/{size}"))
        meta = {"content-type": "binary/octet-stream", **found["meta"]}
        for name in ("content-type", "content-disposition", "cache-control",
                     "content-language", "content-encoding", "expires"):
            meta[name] = self.query.get("response-" + name, meta.get(name))
        headers += [(k, v) for k, v in meta.items() if v is not None]
        if self.command == "HEAD":
            self.answer(status, headers=headers)
            return
        with open(found["path"], "rb") as file:
            file.seek(first)
            self.send_object(status, headers, file, last - first + 1)

    def send_object(self, status, headers, file, left):
        first = file.read(min(left, PIECE))
        self.answer(status, first, headers)
        left -= len(first)
        while left:
            piece = file.read(min(left, PIECE))
            if not piece:
                raise Gone
            left -= len(piece)
            try:
                self.wfile.write(piece)
            except OSError:
                raise Gone from None

    def range_of(self, size):
        """First and last byte, and the status of the answer."""
        text = self.headers.get("Range") or ""
        begin, _, end = text[6:].partition("-")
        if (not text.startswith("bytes=") or "," in text
                or not (begin + end).isdigit()):
            return 0, size - 1, 200
        first = int(begin) if begin else max(0, size - int(end))
        last = min(size - 1, int(end)) if begin and end else size - 1
        if begin and end and int(end) < first:
            return 0, size - 1, 200
        if first >= size or (not begin and int(end) == 0):
            raise Refused(416, "InvalidRange", "The requested range is not "
                          "satisfiable", RangeRequested=text,
                          ActualObjectSize=str(size))
        return first, last, 206

    def delete(self):
        remove(self.bucket, self.key)
        self.answer(204)

    def delete_many(self):
        size = self.length()
        if not any(self.headers.get(name) for name in (
                "Content-MD5", "x-amz-checksum-sha256", "x-amz-checksum-sha1",
                "x-amz-checksum-crc32")):
            raise Refused(400, "InvalidRequest", "Missing required header for "
                          "this request: Content-MD5 OR x-amz-checksum-*")
        malformed = Refused(400, "MalformedXML", "The XML you provided was "
                            "not well-formed or did not validate against our "
                            "published schema")
        if size > 2 * 1024 * 1024:
            raise malformed
        with tempfile.TemporaryFile() as out:
            self.receive(out, False)
            out.seek(0)
            body = out.read()
        try:
            keys, quiet = parse_delete(body)
        except (ValueError, xml.etree.ElementTree.ParseError):
            raise malformed from None
        self.entry["keys"] = keys
        self.answer(200, self.delete_each(keys, quiet),
                    [("Content-Type", "application/xml")])

    def delete_each(self, keys, quiet):
        parts = []
        broken = (self.after or {}).get("kind") == "keys"
        for key in keys:
            name = f"<Key>{escape(key)}</Key>"
            if broken:
                parts.append(f"<Error>{name}<Code>InternalError</Code>"
                             "<Message>We encountered an internal error."
                             "</Message></Error>")
                continue
            remove(self.bucket, key)
            if not quiet:
                parts.append(f"<Deleted>{name}</Deleted>")
        return ('<?xml version="1.0" encoding="UTF-8"?>\n'
                f'<DeleteResult xmlns="{NAMESPACE}">' + "".join(parts)
                + "</DeleteResult>").encode()

    def list(self):
        if self.query.get("list-type") != "2":
            raise Refused(501, "NotImplemented", "ListObjectsV2 only")
        most = min(1000, int(self.query.get("max-keys", "1000")))
        after = self.query.get("continuation-token",
                               self.query.get("start-after", ""))
        prefix = self.query.get("prefix", "")
        with LOCK:
            found = sorted((key, each) for (bucket, key), each
                           in OBJECTS.items() if bucket == self.bucket
                           and key.startswith(prefix) and key > after)
        parts = [f"<Name>{self.bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
                 f"<KeyCount>{min(most, len(found))}</KeyCount>"
                 f"<MaxKeys>{most}</MaxKeys><IsTruncated>"
                 f"{str(len(found) > most).lower()}</IsTruncated>"]
        if len(found) > most > 0:
            parts.append("<NextContinuationToken>"
                         f"{escape(found[most - 1][0])}"
                         "</NextContinuationToken>")
        for key, each in found[:most]:
            parts.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>"
                f"{sigv4.stamp_of(each['modified'])}</LastModified>"
                f"<ETag>{escape(each['etag'])}</ETag>"
                f"<Size>{each['size']}</Size></Contents>")
        self.answer(200, ('<?xml version="1.0" encoding="UTF-8"?>\n'
                          f'<ListBucketResult xmlns="{NAMESPACE}">'
                          + "".join(parts) + "</ListBucketResult>").encode(),
                    [("Content-Type", "application/xml")])

    # The tests' own door

    def control(self):
        body = self.rfile.read(self.left)
        self.left = 0
        if self.command == "POST":
            try:
                set_state(json.loads(body))
            except (ValueError, AttributeError) as error:
                self.end(f"HTTP/1.1 400 {error}\r\n\r\n".encode())
                return
        with LOCK:
            text = json.dumps({
                **STATE, "counts": COUNTS, "fail": FAULTS, "log": LOG,
                "objects": {key: each["size"]
                            for (_, key), each in OBJECTS.items()},
                "meta": {key: each["meta"]
                         for (_, key), each in OBJECTS.items()}})
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def parse_delete(body):
    """The keys of a Delete document, and whether it is to be quiet."""
    root = xml.etree.ElementTree.fromstring(body)

    def local(node):
        return node.tag.rpartition("}")[2]

    keys, quiet = [], False
    if local(root) != "Delete":
        raise ValueError
    for child in root:
        if local(child) == "Quiet":
            quiet = child.text == "true"
        elif local(child) == "Object":
            names = [n.text for n in child if local(n) == "Key"]
            if len(names) != 1 or not names[0]:
                raise ValueError
            keys.append(names[0])
        else:
            raise ValueError
    if not 1 <= len(keys) <= 1000:
        raise ValueError
    return keys, quiet


def remove(bucket, key):
    with LOCK:
        found = OBJECTS.pop((bucket, key), None)
    if found:
        os.unlink(found["path"])


def set_state(wish):
    with LOCK:
        if wish.pop("clear", False):
            LOG.clear()
            COUNTS.clear()
            FAULTS.clear()
        if "fail" in wish:
            FAULTS[:] = [{"op": "*", **fault} for fault in wish.pop("fail")]
        here = list(OBJECTS)
    gone = wish.pop("drop", [])
    if wish.pop("wipe", False):
        gone = [key for _, key in here]
    for bucket, key in here:
        if key in gone:
            remove(bucket, key)
    for (bucket, key), size in [(where, size) for where in here
                                for key, size
                                in wish.get("truncate", {}).items()
                                if where[1] == key]:
        os.truncate(OBJECTS[bucket, key]["path"], size)
        OBJECTS[bucket, key]["size"] = size
    wish.pop("truncate", None)
    unknown = set(wish) - set(STATE)
    if unknown:
        raise ValueError(f"nothing to set: {unknown}")
    STATE.update(wish)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    context = None

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, Gone)):
            super().handle_error(request, client_address)


def main():
    global FOLDER
    if sys.argv[1:] == ["--self-test"]:
        sigv4.self_test()
        return
    FOLDER = tempfile.mkdtemp(prefix="vault-s3-")
    server = Server(("127.0.0.1", 0), Handler)
    if len(sys.argv) == 3:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(sys.argv[1], sys.argv[2])
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sys.stdin.read()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()
