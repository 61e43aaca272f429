#!/usr/bin/env python3
"""AWS Lambda for a test: the Runtime and Extensions APIs, and a front.

    t/peers/lambda.py [OPTION]... -- COMMAND [ARGUMENT]...

COMMAND is what the image would run.  Prints the port of /control and serves
until stdin ends; then all processes are killed.  See awslambda.py for what an
environment is, and cloudfront.py for the front.

  --extension "COMMAND …"   one of /opt/extensions; may be there several times
  --env NAME=VALUE          of all processes; may be there several times
  --log FILE                their stdout and stderr; else ours
  --timeout SECONDS         of the function (60)
  --no-freeze               processes run between invocations
  --no-start                the first invocation starts them
  --front CERT KEY          HTTPS, for clients; "" "" for HTTP
  --secret TEXT             that CloudFront sends as X-Vault-Origin-Secret
  --api, --uploads FILE     the code of CloudFront Functions
  --node FILE               what runs it
  --bucket URL              for /bucket/…

GET /control tells the state.  POST /control takes any of

  {"start": true}           the processes; an error in "error" if they fail
  {"invoke": EVENT}         the answer: status, headers, body, mode, seconds
                            until its first byte and end; or error
  {"shutdown": "spindown"}  the exit codes, and seconds that it took
  {"freezes": false}        from now on
  {"timeout": 5}            of the function
  {"odd": 2}                answers to come that are no events
  {"clear": true}           forgets the front's log, and errors
"""

import argparse
import base64
import http.server
import json
import sys
import threading

sys.dont_write_bytecode = True

import awslambda                        # noqa: E402
import cloudfront                       # noqa: E402


class Control(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        state = self.server.environment.state()
        front = self.server.front
        state["front"] = front.port if front else None
        state["log"] = front.log if front else []
        self.send(state)

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        wanted = json.loads(self.rfile.read(size) or b"{}")
        environment = self.server.environment
        result = {}
        if "freezes" in wanted:
            environment.freezes = wanted["freezes"]
        if "timeout" in wanted:
            environment.timeout = wanted["timeout"]
        if "odd" in wanted:
            environment.odd = wanted["odd"]
        if wanted.get("clear"):
            environment.errors.clear()
            if self.server.front:
                self.server.front.log.clear()
        try:
            if wanted.get("start"):
                environment.start()
            if "invoke" in wanted:
                result = invoke(environment, wanted["invoke"])
            if "shutdown" in wanted:
                result = environment.shutdown(wanted["shutdown"])
        except awslambda.Failed as error:
            result = {"error": error.kind, "message": error.message}
        self.send(result)


def invoke(environment, event):
    with environment.invoke(event) as answer:
        body = answer.body()
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = None
        return {
            "status": answer.status, "headers": answer.headers,
            "mode": answer.mode, "raw": answer.raw, "size": len(body),
            "first": answer.first, "seconds": answer.ended,
            **({"base64": base64.b64encode(body).decode()}
               if text is None else {"body": text}),
        }


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--extension", action="append", default=[])
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--log")
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--no-freeze", action="store_true")
    parser.add_argument("--no-start", action="store_true")
    parser.add_argument("--front", nargs=2)
    parser.add_argument("--secret")
    parser.add_argument("--api")
    parser.add_argument("--uploads")
    parser.add_argument("--node", default="node")
    parser.add_argument("--bucket")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def main():
    said = options()
    environment = awslambda.Environment(
        said.command, said.extension,
        dict(pair.split("=", 1) for pair in said.env),
        said.timeout, not said.no_freeze, said.log)
    front = None
    if said.front:
        front = cloudfront.Front(
            environment, *[path or None for path in said.front],
            secret=said.secret, api=said.api, uploads=said.uploads,
            node=said.node, bucket=said.bucket)
    control = awslambda.Server(("127.0.0.1", 0), Control)
    control.environment = environment
    control.front = front
    try:
        if not said.no_start:
            try:
                environment.start()
            except awslambda.Failed as error:
                environment.errors.append(f"{error.kind}: {error.message}")
        print(control.server_address[1], flush=True)
        threading.Thread(target=control.serve_forever, daemon=True).start()
        sys.stdin.read()
    finally:
        environment.kill()


main()
