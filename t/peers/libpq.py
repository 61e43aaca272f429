#!/usr/bin/env python3
"""libpq as a server program uses it, for tests of what it talks to.

    t/peers/libpq.py      a JSON list a line on stdin, an answer a line on stdout

    [NAME, "open", CONNINFO]        a connection of that name: {"ok": 1}
    [NAME, "query", SQL]            the simple protocol
    [NAME, "run", [SQL, PARAMETER…], …]      each with a Sync of its own
    [NAME, "pipe", [SQL, PARAMETER…], …]     all in one pipeline, one Sync
    [NAME, "prepare", STATEMENT, SQL]
    [NAME, "execute", STATEMENT, PARAMETER…]
    [NAME, "state"]                 of its transaction: idle, open, failed
    [NAME, "close"]

An answer is {"results": [{"tag", "rows", "columns"} or {"code", "words",
"hint"}, …]}; {"error": words} where there is no connection, or no more.
"""

import ctypes
import json
import sys

pq = ctypes.CDLL("libpq.so.5")
for name in ("PQconnectdb", "PQexec", "PQgetResult", "PQexecParams",
             "PQprepare", "PQexecPrepared", "PQerrorMessage", "PQcmdStatus",
             "PQgetvalue", "PQfname", "PQresultErrorField"):
    getattr(pq, name).restype = ctypes.c_void_p

GOOD = (1, 2)                   # COMMAND_OK, TUPLES_OK
FATAL = 7
SYNC = 10
STATES = ["idle", "active", "open", "failed", "unknown"]
connections = {}
silent = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(
    lambda _, words: None)


def text(pointer):
    return ctypes.string_at(pointer).decode() if pointer else None


def result_of(conn, pointer):
    pointer = ctypes.c_void_p(pointer)
    status = pq.PQresultStatus(pointer)
    if status in GOOD:
        columns = range(pq.PQnfields(pointer))
        found = {"tag": text(pq.PQcmdStatus(pointer)),
                 "columns": [text(pq.PQfname(pointer, k)) for k in columns],
                 "rows": [[None if pq.PQgetisnull(pointer, i, k)
                           else text(pq.PQgetvalue(pointer, i, k))
                           for k in columns]
                          for i in range(pq.PQntuples(pointer))]}
    elif status == SYNC:
        found = None
    elif status == FATAL:
        code, words, hint, detail = (
            text(pq.PQresultErrorField(pointer, ord(field)))
            for field in "CMHD")
        found = {"code": code, "words": words, "hint": hint,
                 "detail": detail}
        if code is None:
            found["words"] = text(pq.PQerrorMessage(conn)).strip()
    else:
        found = {"code": "skipped", "words": ""}
    pq.PQclear(pointer)
    return found


def parameters(values):
    array = ctypes.c_char_p * len(values)
    return array(*(None if v is None else str(v).encode() for v in values))


def send(conn, sql, values):
    return pq.PQsendQueryParams(conn, sql.encode(), len(values), None,
                                parameters(values), None, None, 0)


def gather(conn):
    """Up to NULL"""
    found = []
    while True:
        pointer = pq.PQgetResult(conn)
        if not pointer:
            return found
        found.append(result_of(conn, pointer))


def run(conn, statements):
    results = []
    for sql, *values in statements:
        if not send(conn, sql, values):
            results.append({"code": None,
                            "words": text(pq.PQerrorMessage(conn)).strip()})
            break
        results += gather(conn)
    return results


def pipe(conn, statements):
    pq.PQenterPipelineMode(conn)
    for sql, *values in statements:
        send(conn, sql, values)
    pq.PQpipelineSync(conn)
    results = []
    while True:
        pointer = pq.PQgetResult(conn)
        if not pointer:
            if pq.PQstatus(conn) != 0:
                break
            continue
        result = result_of(conn, pointer)
        if result is None:
            break
        results.append(result)
    pq.PQexitPipelineMode(conn)
    return results


def one(conn, pointer):
    return [result_of(conn, pointer)]


def do(name, verb, *rest):
    if verb == "open":
        conn = ctypes.c_void_p(pq.PQconnectdb(rest[0].encode()))
        if pq.PQstatus(conn) != 0:
            words = text(pq.PQerrorMessage(conn))
            pq.PQfinish(conn)
            return {"error": words.strip()}
        pq.PQsetNoticeProcessor(conn, silent, None)
        connections[name] = conn
        return {"ok": 1}

    conn = connections[name]
    if verb == "close":
        pq.PQfinish(connections.pop(name))
        return {"ok": 1}
    if verb == "state":
        return {"state": STATES[pq.PQtransactionStatus(conn)]}
    if verb == "query":
        pq.PQsendQuery(conn, rest[0].encode())
        results = gather(conn)
    elif verb == "run":
        results = run(conn, rest)
    elif verb == "pipe":
        results = pipe(conn, rest)
    elif verb == "prepare":
        results = one(conn, pq.PQprepare(conn, rest[0].encode(),
                                         rest[1].encode(), 0, None))
    elif verb == "execute":
        values = rest[1:]
        results = one(conn, pq.PQexecPrepared(
            conn, rest[0].encode(), len(values), parameters(values), None,
            None, 0))
    return {"results": results, "alive": pq.PQstatus(conn) == 0}


for line in sys.stdin:
    print(json.dumps(do(*json.loads(line))), flush=True)
