#!/usr/bin/env python3
"""A web server with any manners, for net/upstream*.c.

    t/peers/manners.py [CERT KEY]      prints two ports, then serves until
                                       stdin ends; the first one speaks TLS if
                                       there is a certificate

What a request's path asks for is a function below.  The second port is asked
GET /control for the counts of connections and requests and for what was sent
last; POST /control forgets them.
"""

import hashlib
import json
import random
import select
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

LOCK = threading.Lock()
COUNTS = {}
FRESH = {"connections": 0, "requests": 0, "open": 0, "resumed": 0,
         "aborted": 0, "mutants": 0}


class Gone(Exception):
    """The connection is over, by our will or the client's."""


class Talk:
    """One connection."""

    def __init__(self, sock, number):
        self.sock = sock
        self.number = number
        self.buffer = b""
        self.asked = 0
        self.method = self.path = ""
        self.query = {}
        self.headers = []
        self.left = 0

    # Reading

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.buffer += data

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.method, target, _ = lines[0].split(" ")
        url = urllib.parse.urlsplit(target)
        self.path = url.path
        self.query = dict(urllib.parse.parse_qsl(url.query, True))
        self.headers = [line.split(": ", 1) for line in lines[1:]]
        self.left = int(self.header("content-length") or 0)
        self.asked += 1

    def header(self, name):
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None

    def body(self):
        """Its hash and size; it may be large."""
        digest = hashlib.sha256()
        size = 0
        while self.left:
            if not self.buffer:
                self.fill()
            piece = self.buffer[:self.left]
            self.buffer = self.buffer[len(piece):]
            self.left -= len(piece)
            size += len(piece)
            digest.update(piece)
        return size, digest.hexdigest()

    # Writing

    def send(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.sock.sendall(data)

    def answer(self, body="", status=200, headers=()):
        lines = [f"HTTP/1.1 {status} Some Words",
                 f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines) + "\r\n\r\n"
                  + ("" if self.method == "HEAD" else body))

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        raise Gone


# What paths ask for

def echo(talk):
    size, digest = talk.body()
    text = json.dumps({
        "method": talk.method, "path": talk.path, "headers": talk.headers,
        "size": size, "sha256": digest, "connection": talk.number,
        "asked": talk.asked,
    })
    with LOCK:
        COUNTS["last"] = json.loads(text)
    talk.answer(text)


def big(talk):
    talk.answer("x" * int(talk.query["n"]), headers=["X-First: 1"])


def status(talk):
    talk.body()
    talk.answer("some text", int(talk.query["n"]))


def bodiless(talk):
    talk.send(f"HTTP/1.1 {talk.query['n']} Nothing\r\n\r\n")


def head(talk):
    talk.send("HTTP/1.1 200 OK\r\nContent-Length: 123456789\r\n\r\n")


def chunked(talk):
    """?n= bytes in chunks of &by=, one byte at a time if &slowly="""
    left = int(talk.query["n"])
    by = int(talk.query.get("by", "1000"))
    text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while left:
        piece = min(left, by)
        text += f"{piece:x};some=extension\r\n" + "y" * piece + "\r\n"
        left -= piece
    text += "0\r\nTrailer: 1\r\n\r\n"
    if "slowly" in talk.query:
        talk.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in text:
            talk.send(byte)
            time.sleep(0.0005)
    else:
        talk.send(text)


def raw(talk):
    """Just what &text= says, with keep-alive, &close= or &reset="""
    talk.body()
    talk.send(talk.query["text"])
    if "close" in talk.query:
        raise Gone
    if "reset" in talk.query:
        time.sleep(0.05)
        talk.reset()


def stale(talk):
    """Says that it stays, and goes when it is asked for something more."""
    if talk.asked > 1:
        raise Gone
    talk.body()
    talk.answer("first")


def once(talk):
    """Goes right after its answer, though it said that it stays."""
    talk.answer("once")
    raise Gone


def slow(talk):
    time.sleep(float(talk.query["s"]))
    talk.answer("at last")


def drip(talk):
    """A byte now and then"""
    text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow"
    for start in range(0, len(text), 5):
        talk.send(text[start:start + 5])
        time.sleep(float(talk.query["s"]))


def silent(talk):
    """Says nothing until the client goes."""
    if talk.query.get("body"):
        talk.body()
    select.select([talk.sock], [], [], 60)
    raise Gone


def deaf(talk):
    """Does not even read the body."""
    time.sleep(float(talk.query["s"]))
    raise Gone


def early(talk):
    """Refuses without having read the body, and goes or is told to."""
    talk.answer("refused", 403, ["Connection: close"])
    if "reset" in talk.query:
        talk.reset()
    time.sleep(0.3)
    raise Gone


def thrice(talk):
    talk.body()
    talk.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n"
              "Link: x\r\n\r\n")
    talk.answer("after all")


def many(talk):
    talk.answer(headers=[f"X-{n}: {n}" for n in range(int(talk.query["n"]))])


def long(talk):
    talk.answer(headers=["X-Long: " + "x" * int(talk.query["n"])])


ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n1f\r\n" + b"z" * 31 + b"\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil it ends",
    b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0"
    b"\r\n\r\n",
)


def mutant(talk):
    """The n-th of many answers that are nearly right, in pieces"""
    with LOCK:
        COUNTS["mutants"] += 1
        dice = random.Random(COUNTS["mutants"])
    data = bytearray(dice.choice(ANSWERS))
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(data))
        until = at + dice.randrange(12)
        kind = dice.randrange(4)
        if kind == 0:
            data[at] = dice.choice(b"\r\n\0 :;-0f\x7f")
        elif kind == 1 and len(data) > 20:
            del data[at:until]
        elif kind == 2:
            data[at:at] = data[at:until] * dice.choice((1, 2, 2000))
        else:
            data[at:at] = dice.choice((b"\r\n", b"\r\n\r\n", b"9" * 25,
                                       b"-1", b"ffffffffffffffff"))
    while data:
        size = dice.choice((1, 7, 100, 100_000))
        talk.send(bytes(data[:size]))
        del data[:size]
        time.sleep(0)
    raise Gone


MANNERS = {"/" + function.__name__: function for function in (
    echo, big, status, bodiless, head, chunked, raw, stale, once, slow, drip,
    silent, deaf, early, thrice, many, long, mutant)}


def control(talk):
    talk.body()
    with LOCK:
        if talk.method == "POST":
            COUNTS.update(FRESH, open=COUNTS["open"], last=None)
        text = json.dumps(COUNTS)
    talk.answer(text, headers=["Content-Type: application/json",
                               "Connection: close"])


def serve(talk):
    while True:
        talk.head()
        with LOCK:
            COUNTS["requests"] += 1
        function = MANNERS.get(talk.path)
        if function is None:
            talk.answer("no such manners", 404)
        else:
            function(talk)
        if (talk.header("connection") or "").lower() == "close":
            return


def connection(sock, number, context):
    with LOCK:
        COUNTS["open"] += 1
    try:
        if context:
            sock = context.wrap_socket(sock, server_side=True)
            if sock.session_reused:
                with LOCK:
                    COUNTS["resumed"] += 1
        serve(Talk(sock, number))
    except Gone:
        pass
    except (OSError, ValueError):
        with LOCK:
            COUNTS["aborted"] += 1
    finally:
        with LOCK:
            COUNTS["open"] -= 1
        sock.close()


def accept(listener, context):
    number = 0
    while True:
        sock, _ = listener.accept()
        number += 1
        with LOCK:
            COUNTS["connections"] += 1
        threading.Thread(target=connection, args=(sock, number, context),
                         daemon=True).start()


def accept_control(listener):
    while True:
        sock, _ = listener.accept()
        try:
            talk = Talk(sock, 0)
            talk.head()
            control(talk)
        except (Gone, OSError, ValueError):
            pass
        sock.close()


def main():
    COUNTS.update(FRESH, last=None)
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    threading.Thread(target=accept, args=(listener, context),
                     daemon=True).start()
    print(listener.getsockname()[1], flush=True)

    # beside it, so that asking for the counts changes none
    plain = socket.create_server(("127.0.0.1", 0), backlog=16)
    threading.Thread(target=accept_control, args=(plain,),
                     daemon=True).start()
    print(plain.getsockname()[1], flush=True)
    sys.stdin.read()


main()
