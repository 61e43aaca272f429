"""The way in: TLS, by request or at once, the host that was asked for, and the
token.  After that a Session takes over.
"""

import asyncio
import socket
import ssl
import time

from . import login, wire
from .session import Session

DENIED = "unable to accept connection, access denied"
NO_SNI = "unable to accept connection, sni was not received"
NO_TLS = "unable to accept connection, SSL is required"                # GUESS
WAKING = "unable to accept connection, waking up cluster, please retry later"

REFUSALS = {
    "waking": ("FATAL", "08006", WAKING),
    "53300": ("FATAL", "53300",
              "Unable to accept connection, too many open connections."),
    "53400": ("FATAL", "53400", "Unable to accept connection, rate exceeded."),
}


def tls_context(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["postgresql"])

    def remember(sock, name, _):
        sock.dsql_name = name
    context.sni_callback = remember
    return context


async def first_bytes(loop, sock):
    """Up to eight, which stay where they are."""
    while True:
        ready = loop.create_future()
        loop.add_reader(sock, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_reader(sock)
        peeked = sock.recv(8, socket.MSG_PEEK)
        if not peeked or peeked[:1] == b"\x16" or len(peeked) == 8:
            return peeked
        await asyncio.sleep(0.005)


class Door(asyncio.Protocol):
    """Inside of TLS: the startup message, the password."""

    def __init__(self, server, direct):
        self.server, self.direct = server, direct
        self.buffer = bytearray()
        self.parameters = None
        self.session = None
        self.early = []
        self.host = None

    def connection_made(self, transport):
        self.transport = transport
        inside = transport.get_extra_info("ssl_object")
        self.host = getattr(inside, "dsql_name", None)
        if self.direct and inside.selected_alpn_protocol() != "postgresql":
            transport.abort()
        elif self.direct:
            self.server.state.counts["direct"] += 1

    def connection_lost(self, _):
        if self.session:
            self.session.close("client")

    def data_received(self, data):
        if self.session and self.session.backend:
            self.session.from_client(data)
        elif self.session:
            self.early.append(data)
        else:
            self.buffer += data
            self.proceed()

    def fatal(self, severity, code, words, hint=None):
        self.server.state.note(code, words, hint or "")
        self.transport.write(wire.error(severity, code, words, hint=hint))
        self.transport.close()

    def proceed(self):
        first = 0 if self.parameters is None else 1
        if len(self.buffer) < first + 4:
            return
        length = first + wire.LENGTH.unpack_from(self.buffer, first)[0]
        if length > 20000 or length < 5:
            self.transport.abort()
        elif len(self.buffer) >= length:
            body = bytes(self.buffer[first + 4:length])
            del self.buffer[:length]
            if first:
                self.password(body[:-1].decode("utf-8", "replace"))
            else:
                self.startup(body)

    def startup(self, body):
        number, = wire.LENGTH.unpack_from(body)
        if number == wire.CANCEL_REQUEST:
            self.transport.close()
            return
        self.parameters = wire.startup_parameters(body[4:])
        self.server.state.counts["connections"] += 1
        refusal = self.server.refusal()
        if refusal:
            self.fatal(*refusal)
        elif number >> 16 != 3:
            self.fatal("FATAL", "0A000", "unsupported frontend protocol")
        elif not self.host:
            self.fatal("FATAL", "08006", NO_SNI)
        elif self.parameters.get("database", "postgres") != "postgres":
            name = self.parameters["database"]
            self.fatal("FATAL", "3D000", f'database "{name}" does not exist')
        else:
            self.transport.write(wire.ASK_PASSWORD)
            self.proceed()

    def password(self, token):
        state = self.server.state
        user = self.parameters.get("user", "")
        try:
            key = login.check(token, self.host, user, state.keys,
                              time.time() + state.skew)
        except login.Denied as denied:
            self.fatal("FATAL", "08006", DENIED, denied.hint)
            return
        self.session = Session(self.server, self.transport, user)
        asyncio.get_running_loop().create_task(self.enter(user, key))

    async def enter(self, user, key):
        if user != "admin" and not await self.server.is_mapped(user,
                                                               key["arn"]):
            self.session = None
            self.fatal("FATAL", "08006", DENIED, f"User: {key['arn']} is not "
                       "authorized to access this resource")
            return
        self.server.state.counts["logins"] += 1
        self.server.state.counts["logins " + user] += 1
        await self.session.start(self.parameters)
        for data in (bytes(self.buffer), *self.early):
            if data:
                self.session.from_client(data)


async def greet(server, sock):
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    direct = True
    try:
        while True:
            peeked = await first_bytes(loop, sock)
            if peeked[:1] == b"\x16":
                break
            if len(peeked) < 8:
                sock.close()
                return
            number, = wire.LENGTH.unpack_from(peeked, 4)
            if number == wire.GSS_REQUEST:
                await loop.sock_recv(sock, 8)
                await loop.sock_sendall(sock, b"N")
                continue
            if number != wire.SSL_REQUEST:
                server.state.note("08006", NO_TLS, "")
                await loop.sock_sendall(sock, wire.error("FATAL", "08006",
                                                         NO_TLS))
                sock.close()
                return
            await loop.sock_recv(sock, 8)
            server.state.counts["requested"] += 1
            await loop.sock_sendall(sock, b"S")
            direct = False
            break
        await loop.connect_accepted_socket(
            lambda: Door(server, direct), sock, ssl=server.tls)
    except (OSError, ssl.SSLError):
        sock.close()
