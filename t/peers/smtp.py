#!/usr/bin/env python3
"""A mail server that is strict about what it takes, and breaks on demand.

    t/peers/smtp.py [CERT KEY]     prints its port, then serves until stdin ends

That port is for /control: GET tells the state below, the ports of SMTP
("smtp", "smtps") and all messages that were taken; POST changes the state.
A message is parsed by Python's email package; what is not to its liking, or
not to RFC 5321's, stands in its "defects".
"""

import base64
import email
import email.policy
import http.server
import json
import re
import socketserver
import ssl
import sys
import threading
import time

STATE = {
    "starttls": True,           # offered, if there is a certificate
    "need_tls": False,
    "auth": ["PLAIN", "LOGIN", "XOAUTH2"],
    "need_auth": False,
    "user": "vault@example.com",
    "password": "secret",
    "fault": "",                # see below
    "times": -1,                # how often still; -1: always
    "delay": 0,                 # seconds before each answer
    "taken": [],
    "commands": [],             # of all connections; no secrets
    "connections": 0,
}
PORTS = {}
LOCK = threading.Lock()
CONTEXT = None

# Faults that are an answer instead of the usual one, by command
ANSWERS = {
    "greeting": "554 5.3.2 no service here",
    "busy": "421 4.3.2 too many connections",
    "hello": "550 5.7.1 name refused",
    "sender": "550 5.7.1 sender refused",
    "greylist": "450 4.2.0 greylisted, come again",
    "unknown": "550 5.1.1 no such user",
    "full": "452 4.2.2 mailbox full",
    "spam": "554 5.7.1 looks like spam",
    "scanner": "451 4.7.1 scanner is away",
    "closing": "421 4.4.2 closing",
}
PLACES = {
    "greeting": "CONNECT", "busy": "CONNECT", "hello": "EHLO",
    "sender": "MAIL", "greylist": "RCPT", "unknown": "RCPT", "full": "RCPT",
    "spam": "END", "scanner": "END", "closing": "RCPT",
}


def fault(*names):
    """Is one of these faults due now?  Then it is used up."""
    with LOCK:
        if STATE["fault"] not in names or STATE["times"] == 0:
            return False
        if STATE["times"] > 0:
            STATE["times"] -= 1
        return True


def fault_at(place):
    with LOCK:
        name = STATE["fault"]
    if PLACES.get(name) == place and fault(name):
        return ANSWERS[name]
    return None


def walk(message, defects):
    """All headers and bodies are looked at, for that is when Python checks."""
    for name, value in message.items():
        for defect in getattr(value, "defects", ()):
            defects.append(f"{name}: {defect!r}")
    for defect in message.defects:
        defects.append(repr(defect))
    if message.is_multipart():
        return {
            part.get_content_type(): walk(part, defects)
            for part in message.iter_parts()
        }
    return message.get_content()


def check(data):
    defects = []
    lines = data.split(b"\r\n")
    if lines[-1] != b"":
        defects.append("no CRLF at the end")
    if re.search(rb"(?<!\r)\n|\r(?!\n)", data):
        defects.append("a bare CR or LF")
    if re.search(rb"[^\r\n\t\x20-\x7e]", data):
        defects.append("not 7-bit text")
    if max(len(line) for line in lines) > 78:
        defects.append("a long line")
    policy = email.policy.SMTP.clone(raise_on_defect=True)
    try:
        message = email.message_from_bytes(data, policy=policy)
        parts = walk(message, defects)
        for name in ("From", "To", "Subject", "Date", "Message-ID",
                     "MIME-Version", "Content-Type"):
            if len(message.get_all(name, [])) != 1:
                defects.append(f"not one {name}")
        if message["Date"].datetime is None:
            defects.append("no date in Date")
        headers = {name: str(value) for name, value in message.items()}
    except Exception as error:      # noqa: any defect, by this policy
        return {"headers": {}, "parts": {},
                "defects": defects + [f"{type(error).__name__}: {error}"]}
    return {"headers": headers, "parts": parts, "defects": defects}


class Left(Exception):
    pass


class Session(socketserver.BaseRequestHandler):
    def setup(self):
        self.secure = False
        self.user = ""
        self.sender = self.recipient = None
        self.buffer = b""
        with LOCK:
            STATE["connections"] += 1

    def say(self, *lines):
        time.sleep(STATE["delay"])
        text = ""
        for line in lines[:-1]:
            text += line[:3] + "-" + line[4:] + "\r\n"
        self.request.sendall((text + lines[-1] + "\r\n").encode())

    def fill(self):
        data = self.request.recv(65536)
        if not data:
            raise Left
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def handle(self):
        try:
            self.converse()
        except (Left, OSError):
            pass
        finally:
            try:
                self.request.close()
            except OSError:
                pass

    def start_tls(self):
        self.request = CONTEXT.wrap_socket(self.request, server_side=True)
        self.secure = True

    def converse(self):
        if self.server.implicit:
            self.start_tls()
        if fault("silent"):
            while True:
                self.fill()
        if fault("garbage"):
            self.request.sendall(b"SSH-2.0-nothing\r\n")
        if fault("endless"):
            self.request.sendall(b"220 " + b"x" * 100000)
        answer = fault_at("CONNECT")
        self.say(answer or "220 mail.example.com ESMTP")
        if answer:
            return
        while True:
            line = self.line()
            verb = line.split(" ", 1)[0].upper()
            with LOCK:
                STATE["commands"].append(
                    line if verb in ("EHLO", "MAIL", "RCPT") else verb)
            answer = fault_at(verb)
            if answer:
                self.say(answer)
                if answer.startswith("421"):
                    return
                continue
            method = getattr(self, "do_" + verb.lower(), None)
            if method is None:
                self.say("500 5.5.1 what?")
            elif method(line):
                return

    def do_ehlo(self, line):
        answer = ["250 mail.example.com", "250 8BITMIME", "250 SIZE 1000000"]
        if STATE["starttls"] and CONTEXT and not self.secure:
            answer.append("250 STARTTLS")
        if STATE["auth"] and (self.secure or not STATE["need_tls"]):
            answer.append("250 AUTH " + " ".join(STATE["auth"]))
        self.say(*answer, "250 HELP")

    def do_starttls(self, line):
        if fault("notls"):
            self.say("454 4.7.0 TLS not available")
            return
        if fault("inject"):
            self.request.sendall(b"220 go on\r\n250 injected\r\n")
        else:
            self.say("220 go on")
        if fault("badtls"):
            self.request.sendall(b"no TLS at all\r\n")
            raise Left
        if self.buffer:
            raise Left              # a client that does not wait
        self.start_tls()

    def do_auth(self, line):
        words = line.split(" ")
        kind = words[1].upper()
        if kind == "PLAIN":
            _, user, password = base64.b64decode(
                words[2], validate=True).decode().split("\0")
        elif kind == "LOGIN":
            self.say("334 VXNlcm5hbWU6")
            user = base64.b64decode(self.line(), validate=True).decode()
            self.say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self.line(), validate=True).decode()
        else:
            text = base64.b64decode(words[2], validate=True).decode()
            user, password = re.fullmatch(
                "user=(.*)\1auth=Bearer (.*)\1\1", text).groups()
        if (user, password) == (STATE["user"], STATE["password"]):
            self.user = user
            self.say("235 2.7.0 welcome")
            return
        if kind == "XOAUTH2":
            self.say("334 " + base64.b64encode(b'{"status":"401"}').decode())
            self.line()
        self.say("535 5.7.8 wrong password")

    def do_mail(self, line):
        if STATE["need_tls"] and not self.secure:
            self.say("530 5.7.0 STARTTLS first")
        elif STATE["need_auth"] and not self.user:
            self.say("530 5.7.0 authenticate first")
        else:
            self.sender = re.match(r"MAIL FROM:<(.*)>", line).group(1)
            self.say("250 2.1.0 ok")

    def do_rcpt(self, line):
        self.recipient = re.match(r"RCPT TO:<(.*)>", line).group(1)
        self.say("250 2.1.5 ok")

    def do_data(self, line):
        self.say("354 go on")
        if fault("cut"):
            return True
        while not self.buffer.endswith(b"\r\n.\r\n"):
            self.fill()
        data, self.buffer = self.buffer[:-3], b""
        data = re.sub(rb"(?m)^\.", b"", data)
        answer = fault_at("END")
        if answer:
            self.say(answer)
            return None
        message = check(data)
        message.update({
            "from": self.sender, "to": self.recipient, "user": self.user,
            "tls": self.secure, "data": data.decode("latin-1"),
        })
        if fault("hang"):
            time.sleep(60)
        with LOCK:
            STATE["taken"].append(message)
        if fault("lost"):
            return True             # taken, but nobody will know
        self.say("250 2.0.0 queued")
        return None

    def do_quit(self, line):
        if fault("rude"):
            time.sleep(60)
        self.say("221 2.0.0 bye")
        return True


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, implicit):
        self.implicit = implicit
        super().__init__(("127.0.0.1", 0), Session)

    def handle_error(self, request, client_address):
        pass                        # clients that do not trust us, mostly


class Control(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        with LOCK:
            body = json.dumps({**STATE, **PORTS}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        change = json.loads(self.rfile.read(length))
        with LOCK:
            STATE.update(change)
        self.do_GET()


def main():
    global CONTEXT
    servers = {"smtp": Server(False)}
    if len(sys.argv) == 3:
        CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        CONTEXT.load_cert_chain(sys.argv[1], sys.argv[2])
        servers["smtps"] = Server(True)
    for name, server in servers.items():
        PORTS[name] = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
    control = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
    print(control.server_address[1], flush=True)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
