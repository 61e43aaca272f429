#!/usr/bin/python3
"""aiosmtpd, Debian's: a mail server that nobody wrote for this project.

    t/peers/mailserver.py CERT KEY PORT    serves at PORT or the next that is
                                           free, until stdin ends

STARTTLS and AUTH are required.  It prints the port of GET /control, which tells
that of SMTP and the messages that were taken, checked as smtp.py does.
"""

import http.server
import json
import logging
import ssl
import sys
import threading

sys.dont_write_bytecode = True
import smtp                             # noqa: E402
from aiosmtpd.controller import Controller      # noqa: E402
from aiosmtpd.smtp import AuthResult    # noqa: E402

STATE = {"smtp": 0, "taken": [], "logins": []}


class Handler:
    async def handle_DATA(self, server, session, envelope):
        message = smtp.check(envelope.original_content)
        message.update({"from": envelope.mail_from, "to": envelope.rcpt_tos[0],
                        "tls": session.ssl is not None})
        STATE["taken"].append(message)
        return "250 2.0.0 queued"


def authenticate(server, session, envelope, mechanism, data):
    STATE["logins"].append(mechanism)
    good = (data.login, data.password) == (b"vault@example.com", b"secret")
    return AuthResult(success=good)


class Control(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        body = json.dumps(STATE).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    logging.disable()           # "login_data is deprecated"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    for port in range(int(sys.argv[3]), int(sys.argv[3]) + 20):
        try:
            controller = Controller(
                Handler(), hostname="127.0.0.1", port=port,
                tls_context=context, require_starttls=True,
                authenticator=authenticate, auth_required=True)
            controller.start()
            break
        except OSError:
            continue
    STATE["smtp"] = port
    control = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
    print(control.server_address[1], flush=True)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
