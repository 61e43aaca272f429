#!/usr/bin/env python3
"""A function of AWS Lambda that wants its secrets: t/peers/function.py FILE…

At its start it tells whether each FILE is there.  An event is a list of steps:

  {"get": "/v1/…", "headers": {…}}   of http://$VLE_LISTEN, or of its socket
  {"read": "FILE"}                   its text and mode
  {"sleep": SECONDS}

and so is the answer, with "ms" that each has taken.
"""

import http.client
import json
import os
import socket
import sys
import time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
RUNTIME = "/2018-06-01/runtime/invocation/"


def connect():
    listen = os.environ.get("VLE_LISTEN", "127.0.0.1:8200")
    if not listen.startswith("unix:"):
        return http.client.HTTPConnection(listen, timeout=30)
    conn = http.client.HTTPConnection("localhost", timeout=30)
    conn.sock = socket.socket(socket.AF_UNIX)
    conn.sock.connect(listen[5:])
    return conn


def take(step, kept):
    if "sleep" in step:
        time.sleep(step["sleep"])
        return {}
    if "read" in step:
        path = step["read"]
        with open(path, encoding="utf-8") as file:
            return {"text": file.read(),
                    "mode": f"{os.stat(path).st_mode & 0o777:04o}"}
    if step.get("keep"):
        conn = kept.setdefault("conn", None) or connect()
        kept["conn"] = conn
    else:
        conn = connect()
    conn.request(step.get("method", "GET"), step["get"],
                 headers=step.get("headers", {}))
    answer = conn.getresponse()
    return {"status": answer.status, "text": answer.read().decode(),
            "cache": answer.headers.get("X-Cache")}


def call(method, path, body=None):
    conn = http.client.HTTPConnection(API)
    conn.request(method, RUNTIME + path, body)
    answer = conn.getresponse()
    return answer.headers.get("Lambda-Runtime-Aws-Request-Id"), answer.read()


def main():
    for path in sys.argv[1:]:
        print("function:", path, "is", "there" if os.path.exists(path)
              else "missing", flush=True)
    kept = {}
    while True:
        identity, event = call("GET", "next")
        results = []
        for step in json.loads(event):
            began = time.monotonic()
            try:
                result = take(step, kept)
            except OSError as error:
                result = {"error": str(error)}
            result["ms"] = round((time.monotonic() - began) * 1000, 1)
            results.append(result)
        call("POST", identity + "/response", json.dumps(results))


main()
