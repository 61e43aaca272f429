"""Messages of PostgreSQL's protocol, version 3."""

import struct

HEAD = struct.Struct("!cI")
LENGTH = struct.Struct("!I")
SHORT = struct.Struct("!H")

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
VERSION_3 = 196608

FLUSH = b"H\0\0\0\4"
SYNC = b"S\0\0\0\4"
ASK_PASSWORD = b"R\0\0\0\x08\0\0\0\3"


def message(kind, body=b""):
    return HEAD.pack(kind, len(body) + 4) + body


def text(value):
    return value.encode() + b"\0"


def query(sql):
    return message(b"Q", text(sql))


def parse(name, sql, types=b"\0\0"):
    return message(b"P", name + b"\0" + text(sql) + types)


def run_unnamed(sql):
    """A statement without parameters or rows; answered by 1, 2 and C."""
    return (parse(b"", sql) + message(b"B", b"\0\0\0\0\0\0\0\0")
            + message(b"E", b"\0\0\0\0\0"))


def error(severity, code, words, detail=None, hint=None):
    body = (b"S" + text(severity) + b"V" + text(severity) + b"C" + text(code)
            + b"M" + text(words))
    if detail:
        body += b"D" + text(detail)
    if hint:
        body += b"H" + text(hint)
    return message(b"E", body + b"\0")


def error_fields(body):
    fields = {}
    for part in body.split(b"\0"):
        if part:
            fields[part[:1].decode()] = part[1:].decode("utf-8", "replace")
    return fields


def row_description(name):
    """One column of type text."""
    return message(b"T", b"\0\1" + text(name)
                   + struct.pack("!IHIhIH", 0, 0, 25, -1, 0xffffffff, 0))


def row(value):
    raw = value.encode()
    return message(b"D", b"\0\1" + LENGTH.pack(len(raw)) + raw)


def complete(tag):
    return message(b"C", text(tag))


def cut(raw, at=0):
    """The string that ends at a NUL, and where the next begins."""
    end = raw.index(b"\0", at)
    return raw[at:end], end + 1


def startup(parameters):
    body = LENGTH.pack(VERSION_3)
    for name, value in parameters.items():
        body += text(name) + text(value)
    body += b"\0"
    return LENGTH.pack(len(body) + 4) + body


def startup_parameters(body):
    parts = body.split(b"\0")
    parts = [part.decode("utf-8", "replace") for part in parts]
    return dict(zip(parts[0::2], parts[1::2]))
