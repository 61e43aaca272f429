"""Aurora DSQL, as far as a client of its protocol can tell: a proxy in front of
a throw-away PostgreSQL that refuses what DSQL refuses.

    t/peers/dsql BACKEND FOLDER     BACKEND: postgresql://user@host:port/name,
                                    of a superuser; FOLDER gets ca.pem

It prints the port of its control, then serves until stdin ends.  GET /control:

    port, host, ca      where it listens on 127.0.0.1; the name that TLS and
                        the token need; the file that verifies it
    keys                access keys that may sign: name to {"secret", "arn"
                        and, if wanted, "token" and "actions"}
    counts              connections, logins (also "logins USER"), statements,
                        and SQLSTATEs told; of connections, TLS that was
                        requested (SSLRequest), and direct, by ALPN
    refusals            the last 100 errors: [SQLSTATE, words, SQL]
    sessions, commits   open connections; ends of transactions that wrote

POST /control sets any of keys and of these:

    oc000_every  n      each n-th COMMIT (or write on its own) collides
    oc001_next   n      the next n statements meet a stale catalog
    stale        true   a statement after DDL of another session does so, too
    eof_before_commit, eof_after_commit   n   the next n ends are cut, before
                        or after PostgreSQL has done it
    eof_every    n      each n-th, the odd ones before it and the even ones after
    refuse       {"how": "53300" | "53400" | "waking" | "denied", "times": n}
    close_after  s      all connections end after s seconds
    lifetime     s      the same, of new ones: 3600
    freeze       true   nothing is read from anybody
    delay        s      what comes from clients is looked at later
    drop         1      all connections end now
    clear        1      counts and refusals start anew
    skew         s      the clock that judges tokens is ahead
    job_delay    s      an index is not valid before: 0.3
    job_fails    true   and never becomes so
    max_rows, max_bytes, max_age, max_message   limits

By hand, with the key AKIDEXAMPLE that is there at first:
    PGPASSWORD=$(t/peers/dsql token HOST [admin]) PGSSLROOTCERT=FOLDER/ca.pem \\
    psql "host=HOST hostaddr=127.0.0.1 port=PORT user=admin dbname=postgres \\
          sslmode=verify-full"

Known to differ from Aurora DSQL:
  - Of two transactions that write the same row, the one that writes first wins;
    there it is the one that commits first.  The other waits for 50 ms at most,
    then plays on and is refused at COMMIT (conflict.py); by the simple
    protocol, or with RETURNING, at its statement.
  - OC001 comes for any DDL elsewhere, not only for tables that a statement
    uses.
  - The bytes of a transaction are those of its parameters.  DSQL adds some for
    each row and index; how many is not documented.
  - A unique index over rows that are not unique fails at once; DSQL lets the
    job fail.  Keys may be longer than DSQL's 1,981 bytes.
  - Named statements of the protocol live as long as their connection.  AWS says
    that DSQL "doesn't preserve statement names"; its own drivers use them.
  - A write whose end is cut is answered by nothing at all, as PostgreSQL would:
    what a client of DSQL sees of its statement then is not known.
  - What plain text is answered, and the words marked GUESS in dialect.py and
    door.py, nobody has recorded.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

import sigv4                                            # noqa: E402
from dsql_peer import door, login                       # noqa: E402
from dsql_peer.backend import Backend, Jobs, quoted     # noqa: E402
from dsql_peer.state import State                       # noqa: E402

HOST = "abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws"
ARN = "arn:aws:iam::111122223333:role/vault"
KEYS = {
    "AKIDEXAMPLE": {
        "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "arn": ARN},
    "AKIAIOSFODNN7EXAMPLE": {           # that of tests with a bucket
        "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "arn": ARN},
    "AKIDENV": {                        # that of tests with mail
        "secret": "hidden-env", "arn": ARN},
    **{f"AKID{n}": {                    # what aws.py gives out
        "secret": f"secret-{n}", "token": f"token/{n}+==", "arn": ARN}
       for n in range(1, 100)},
}


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_certificate(folder, host):
    """ca.pem, and what it has signed for the host."""
    new = ("req", "-x509", "-nodes", "-days", "30", "-newkey", "ec",
           "-pkeyopt", "ec_paramgen_curve:prime256v1")
    ca, ca_key, cert, key = (os.path.join(folder, name) for name in (
        "ca.pem", "ca.key", "dsql.pem", "dsql.key"))
    openssl(*new, "-subj", "/CN=Test CA", "-keyout", ca_key, "-out", ca)
    openssl(*new, "-subj", "/CN=" + host, "-addext",
            "subjectAltName=DNS:" + host, "-addext",
            "basicConstraints=critical,CA:FALSE", "-CA", ca, "-CAkey", ca_key,
            "-keyout", key, "-out", cert)
    return ca, cert, key


class Server:
    def __init__(self, url, folder):
        self.state = State()
        self.state.keys = dict(KEYS)
        self.state.host = HOST
        self.state.ca, cert, key = make_certificate(folder, HOST)
        self.tls = door.tls_context(cert, key)
        self.backend = Backend(url)
        self.jobs = Jobs(self.backend, self.state)

    def refusal(self):
        wanted = self.state.refuse
        if not wanted or wanted.get("times", 1) <= 0:
            return None
        wanted["times"] = wanted.get("times", 1) - 1
        if wanted["how"] == "denied":
            return ("FATAL", "08006", door.DENIED)
        return door.REFUSALS[wanted["how"]]

    async def is_mapped(self, user, arn):
        rows = await self.backend.run(
            "SELECT 1 FROM sys.iam_pg_role_mappings m JOIN sys.roles r "
            "ON r.name = m.pg_role_name AND r.login "
            f"WHERE r.name = {quoted(user)} AND m.arn = {quoted(arn)}")
        return bool(rows)

    async def listen(self):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        listener.setblocking(False)
        self.state.port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        tasks = set()

        async def accept():
            while True:
                sock, _ = await loop.sock_accept(listener)
                task = loop.create_task(door.greet(self, sock))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        self.accepting = loop.create_task(accept())

    async def control(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = await reader.readexactly(length)
        status = "200 OK"
        try:
            if head.startswith(b"POST"):
                self.state.change(json.loads(body))
            answer = json.dumps(self.state.shown())
        except (ValueError, TypeError, AttributeError) as problem:
            status, answer = "400 Bad Request", json.dumps(str(problem))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                     f"Content-Length: {len(answer)}\r\n"
                     f"Connection: close\r\n\r\n{answer}".encode())
        await writer.drain()
        writer.close()


async def serve(url, folder):
    server = Server(url, folder)
    await server.backend.open()
    await server.backend.prepare()
    await server.listen()
    control = await asyncio.start_server(server.control, "127.0.0.1", 0)
    print(control.sockets[0].getsockname()[1], flush=True)

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, lambda: sys.stdin.buffer.read1(4096)
                    or ended.set())
    await ended.wait()


def token(host, user="", name="AKIDEXAMPLE", now=None, life=900):
    """By the same functions that check it: for use by hand."""
    key = KEYS[name]
    region = login.HOST.match(host).group(1)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    scope = f"{stamp[:8]}/{region}/dsql/aws4_request"
    pairs = [(b"Action", b"DbConnectAdmin" if user == "admin"
              else b"DbConnect"),
             (b"X-Amz-Algorithm", sigv4.ALGORITHM.encode()),
             (b"X-Amz-Credential", f"{name}/{scope}".encode()),
             (b"X-Amz-Date", stamp.encode()),
             (b"X-Amz-Expires", str(life).encode()),
             (b"X-Amz-SignedHeaders", b"host")]
    canonical = sigv4.canonical_request(
        sigv4.Request("GET", "/", [("Host", host)]), pairs, ["host"],
        login.EMPTY)
    signature = sigv4.signature(key["secret"], scope, sigv4.string_to_sign(
        stamp, scope, canonical))
    return (f"{host}/?{sigv4.canonical_query(pairs)}"
            f"&X-Amz-Signature={signature}")


if __name__ == "__main__":
    if sys.argv[1] == "token":
        print(token(*sys.argv[2:]))
    else:
        asyncio.run(serve(sys.argv[1], sys.argv[2]))
