"""CloudFront and a function URL, between a client and a function.

    Front(environment, cert, key, secret=…, api="api.js", uploads="up.js",
          node="node", bucket="http://127.0.0.1:1234/vault")

A request is made into an event as CloudFront's cache behaviours of the API and
the function URL do it, and its answer back into one of HTTP; /bucket/… goes to
the bucket.  The two scripts are the CloudFront Functions of the template: they
are run by Node.js, once for all, and do here what they do there.

What they do to a request, each seen on the real ones or documented:

  CloudFront     appends the viewer to X-Forwarded-For; adds Via; sends the
                 function URL's name as Host and the origin's own headers, which
                 win over the viewer's; URL <= 8192 and all <= 20480 bytes
  function URL   keeps the first address of X-Forwarded-For only; payload 2.0,
                 names of headers in lower case, several of a name joined by
                 commas, cookies apart, bodies in base64 unless they are text;
                 413 for an event over 6 MB
"""

import base64
import http.client
import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.parse
import uuid

from awslambda import Failed, Server

DOMAIN = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"
URL_MAX = 8192
HEAD_MAX = 20480
TEXT = ("text/", "application/json", "application/javascript",
        "application/xml")
HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer",
       "transfer-encoding", "upgrade", "expect"}
NAMES = http.client.responses


class Functions:
    """The handlers of CloudFront Functions, behind a Node.js that stays."""

    RUN = """
        const code = require('fs').readFileSync(process.argv[1], 'utf8');
        const handler = new Function(code + '; return handler;')();
        require('readline').createInterface({ input: process.stdin })
            .on('line', line => console.log(
                JSON.stringify(handler(JSON.parse(line)))));
    """

    def __init__(self, node, path):
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [node, "-e", self.RUN, path], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def __call__(self, kind, request, viewer, response=None):
        event = {"version": "1.0", "context": {"eventType": kind},
                 "viewer": {"ip": viewer}, "request": request}
        if response is not None:
            event["response"] = response
        with self.lock:
            self.process.stdin.write(json.dumps(event) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())


def parameters(query):
    """As CloudFront shows a query to functions, and back again."""
    found = {}
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        if name in found:
            found[name].setdefault("multiValue", [dict(found[name])])
            found[name]["multiValue"].append({"value": value})
        else:
            found[name] = {"value": value}
    return found


def query_of(parameters):
    return "&".join(
        f"{name}={one['value']}" if one["value"] else name
        for name, value in parameters.items()
        for one in value.get("multiValue", [value]))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def log_message(self, *args):
        pass

    def send(self, status, headers, body=b""):
        headers = [(name, value) for name, value in headers
                   if name.lower() != "content-length"]
        self.begin(status, headers + [("Content-Length", len(body))])
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def begin(self, status, headers):
        text = f"HTTP/1.1 {status} {NAMES.get(status, 'Unknown')}\r\n"
        text += "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.wfile.write(text.encode("latin-1") + b"\r\n")

    def refuse(self, status, message=""):
        self.close_connection = True
        self.send(status, [("Content-Type", "text/html"),
                           ("Connection", "close")], message.encode())

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return body

    def do(self):
        front = self.server.front
        head = sum(len(name) + len(value) + 4
                   for name, value in self.headers.items())
        if len(self.path) > URL_MAX:
            return self.refuse(414)
        if head + len(self.path) > HEAD_MAX:
            return self.refuse(494)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        path, _, query = self.path.partition("?")
        headers = {}
        for name, value in self.headers.items():
            name = name.lower()
            if name in headers:
                headers[name]["value"] += "," + value
            else:
                headers[name] = {"value": value}
        request = {"method": self.command, "uri": path,
                   "querystring": parameters(query), "cookies": {},
                   "headers": headers}
        if path.startswith("/bucket/"):
            return front.upload(self, request)
        return front.call(self, request)

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_HEAD = do
    do_PATCH = do


class Front:
    def __init__(self, environment, cert=None, key=None, secret=None,
                 api=None, uploads=None, node="node", bucket=None):
        self.environment = environment
        self.secret = secret
        self.api = Functions(node, api) if api else None
        self.uploads = Functions(node, uploads) if uploads else None
        self.bucket = urllib.parse.urlsplit(bucket) if bucket else None
        self.log = []                   # of invocations that came this way
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.front = self
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True,
                do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    @property
    def port(self):
        return self.server.server_address[1]

    # To the function

    def call(self, client, request):
        viewer = client.client_address[0]
        if self.api:
            request = self.api("viewer-request", request, viewer)
            if "statusCode" in request:
                return client.send(request["statusCode"], [])
        headers = request["headers"]
        before = headers.get("x-forwarded-for")
        headers["x-forwarded-for"] = {
            "value": f"{before['value']},{viewer}" if before else viewer}
        headers["via"] = {"value": "2.0 example.cloudfront.net (CloudFront)"}
        headers["x-amz-cf-id"] = {"value": uuid.uuid4().hex}
        if self.secret:
            headers["x-vault-origin-secret"] = {"value": self.secret}
        self.invoke(client, self.event(request, client.read_body()))

    def event(self, request, body):
        """What a function URL makes of a request."""
        headers = {name: value["value"]
                   for name, value in request["headers"].items()
                   if name not in HOP}
        cookies = headers.pop("cookie", None)
        first = headers["x-forwarded-for"].split(",")[0].strip()
        headers["x-forwarded-for"] = first
        headers["x-forwarded-proto"] = "https"
        headers["x-forwarded-port"] = "443"
        headers["host"] = DOMAIN
        headers["x-amzn-trace-id"] = "Root=1-00000000-" + "0" * 24
        query = query_of(request["querystring"])
        is_text = headers.get("content-type", "").startswith(TEXT)
        now = time.time()
        event = {
            "version": "2.0", "routeKey": "$default",
            "rawPath": request["uri"], "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "accountId": "anonymous", "apiId": DOMAIN.split(".")[0],
                "domainName": DOMAIN, "domainPrefix": DOMAIN.split(".")[0],
                "http": {"method": request["method"],
                         "path": request["uri"], "protocol": "HTTP/1.1",
                         "sourceIp": first,
                         "userAgent": headers.get("user-agent", "")},
                "requestId": str(uuid.uuid4()), "routeKey": "$default",
                "stage": "$default", "timeEpoch": int(now * 1000),
                "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000",
                                      time.gmtime(now)),
            },
            "isBase64Encoded": bool(body) and not is_text,
        }
        if query:
            pairs = urllib.parse.parse_qs(query, keep_blank_values=True)
            event["queryStringParameters"] = {
                name: ",".join(values) for name, values in pairs.items()}
        if cookies:
            event["cookies"] = [one.strip() for one in cookies.split(";")]
        if body:
            event["body"] = (body.decode() if is_text
                             else base64.b64encode(body).decode())
        return event

    def invoke(self, client, event):
        try:
            with self.environment.invoke(event) as answer:
                self.hand_back(client, event, answer)
        except Failed as error:
            status = 413 if error.kind == "RequestTooLarge" else 502
            client.send(status, [("Content-Type", "application/json")],
                        json.dumps({"Message": error.kind}).encode())

    def hand_back(self, client, event, answer):
        """The head as soon as it is known, then piece by piece."""
        answer.known.wait()
        if answer.status is None:
            raise answer.error
        method = event["requestContext"]["http"]["method"]
        empty = method == "HEAD" or answer.status in (204, 304)
        headers = [(name, value) for name, value in answer.headers.items()
                   if name.lower() not in HOP | {"content-length"}]
        headers += [("Set-Cookie", cookie) for cookie in answer.cookies]
        if not empty:
            headers.append(("Transfer-Encoding", "chunked"))
        client.begin(answer.status, headers)
        for piece in answer:
            if not empty:
                client.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if not empty:
            client.wfile.write(b"0\r\n\r\n")
        client.wfile.flush()
        self.log.append({
            "method": method, "path": event["rawPath"],
            "status": answer.status, "mode": answer.mode,
            "size": answer.size, "first": answer.first,
            "seconds": answer.ended})

    # To the bucket

    def upload(self, client, request):
        viewer = client.client_address[0]
        # a bucket that is in the path, since the test's has no name of its own
        request["uri"] = request["uri"].replace(
            "/bucket" + self.bucket.path, "/bucket", 1)
        viewers = json.loads(json.dumps(request))
        if self.uploads:
            request = self.uploads("viewer-request", request, viewer)
        if "statusCode" in request:
            client.read_body()
            return client.send(request["statusCode"], [
                (name, value["value"]) for name, value
                in request.get("headers", {}).items()])
        self.answer_upload(client, viewers, viewer,
                           *self.hand_on(client, request))

    def hand_on(self, client, request):
        """All of the query, and no header but what says how the body comes."""
        kind = (http.client.HTTPSConnection if self.bucket.scheme == "https"
                else http.client.HTTPConnection)
        connection = kind(self.bucket.hostname, self.bucket.port, timeout=60)
        path = self.bucket.path.rstrip("/") + request["uri"]
        query = query_of(request["querystring"])
        connection.request(
            request["method"], f"{path}?{query}" if query else path,
            body=client.read_body(), headers={"Host": self.bucket.netloc})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def answer_upload(self, client, request, viewer, answer, body):
        headers = {name.lower(): {"value": value}
                   for name, value in answer.getheaders()
                   if name.lower() not in HOP | {"content-length"}}
        status = answer.status
        if self.uploads and status < 400:       # else CloudFront asks nobody
            response = self.uploads("viewer-response", request, viewer, {
                "statusCode": status, "headers": headers})
            status, headers = response["statusCode"], response["headers"]
        client.send(status, [(name, value["value"])
                             for name, value in headers.items()], body)
