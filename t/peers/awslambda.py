"""An environment of AWS Lambda: processes, the Runtime API, freezing.

    environment = Environment(["nginx", "-c", "…"], extensions=["adapter"])
    environment.start()
    with environment.invoke(event) as answer:
        answer.status, answer.headers        of an HTTP answer that is streamed
        for piece in answer: …
    environment.shutdown("spindown")         as Lambda does, with its patience

Like Lambda it starts the extensions and then the runtime, waits until all of
them have asked for the next event, and stops the whole process group whenever
nobody has anything to do.  One invocation at a time; one that takes longer
than the function's timeout kills all, and the next one begins anew.

docs.aws.amazon.com/lambda: runtimes-api, runtimes-extensions-api,
runtimes-context, configuration-response-streaming.
"""

import http.client
import http.server
import json
import os
import queue
import shlex
import signal
import socket
import socketserver
import subprocess
import threading
import time
import uuid

RUNTIME = "/2018-06-01/runtime/"
EXTENSION = "/2020-01-01/extension/"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:vault"
PRELUDE_END = b"\0" * 8
REQUEST_MAX = 6 * 1024 * 1024           # bytes of an event
BUFFERED_MAX = 6 * 1024 * 1024
STREAMED_MAX = 200 * 1024 * 1024
INIT_MAX = 10                           # seconds
PATIENCE = 2                            # seconds between SIGTERM and SIGKILL


class Failed(Exception):
    """What Lambda calls a function error: a type and a message."""

    def __init__(self, kind, message=""):
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Answer:
    """An answer while it comes: pieces of bytes, None at the end."""

    def __init__(self):
        self.pieces = queue.Queue(maxsize=256)
        self.known = threading.Event()
        self.began = time.monotonic()
        self.first = None               # seconds until the first byte
        self.ended = None
        self.error = None
        self.mode = None                # "buffered" or "streaming"
        self.status = None
        self.headers = {}               # as the prelude says
        self.cookies = []
        self.size = 0
        self.raw = False                # no HTTP answer: what it is, is there

    def begin(self, mode, meta, raw=False):
        self.mode = mode
        self.first = time.monotonic() - self.began
        self.raw = raw
        self.status = meta.get("statusCode", 200)
        self.headers = meta.get("headers", {})
        self.cookies = meta.get("cookies", [])
        self.known.set()

    def add(self, piece):
        self.size += len(piece)
        self.pieces.put(piece)

    def end(self, error=None):
        if self.ended is not None:
            return
        self.ended = time.monotonic() - self.began
        self.error = self.error or error
        self.known.set()
        self.pieces.put(None)

    def wait(self, seconds):
        return self.known.wait(seconds)

    def __iter__(self):
        while True:
            piece = self.pieces.get()
            if piece is None:
                if self.error:
                    raise self.error
                return
            yield piece

    def body(self):
        return b"".join(self)


class Api(http.server.BaseHTTPRequestHandler):
    """Both APIs, for the processes of one environment."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        text = f"HTTP/1.1 {status} {http.client.responses[status]}\r\n"
        text += "Content-Type: application/json\r\n"
        text += f"Content-Length: {len(body)}\r\n"
        for name, value in headers:
            text += f"{name}: {value}\r\n"
        self.wfile.write(text.encode() + b"\r\n" + body)
        self.wfile.flush()

    def hurry(self):
        """The adapter's sockets wait for acknowledgements (Nagle)."""
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def pieces(self):
        """The body, however it comes."""
        self.hurry()
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            left = int(self.headers.get("Content-Length", 0))
            while left:
                piece = self.rfile.read(min(left, 65536))
                if not piece:
                    raise ConnectionResetError("the body ends early")
                left -= len(piece)
                yield piece
            return
        while True:
            left = int(self.rfile.readline().split(b";")[0], 16)
            if left == 0:
                break
            while left:
                piece = self.rfile.read1(left)
                if not piece:
                    raise ConnectionResetError("a chunk ends early")
                left -= len(piece)
                self.hurry()
                yield piece
            self.rfile.readline()
        self.trailers = {}
        while True:
            line = self.rfile.readline().rstrip(b"\r\n")
            if not line:
                return
            name, _, value = line.decode().partition(":")
            self.trailers[name.lower()] = value.strip()

    def body(self):
        return b"".join(self.pieces())

    def do_GET(self):
        environment = self.server.environment
        if self.path == RUNTIME + "invocation/next":
            environment.runtime_next(self)
        elif self.path == EXTENSION + "event/next":
            environment.extension_next(self)
        else:
            self.answer(404, {"errorType": "NotFound"})

    def do_POST(self):
        environment = self.server.environment
        parts = self.path.split("/")
        if self.path == EXTENSION + "register":
            environment.register(self)
        elif self.path.startswith(RUNTIME + "invocation/") and len(parts) == 6:
            environment.runtime_answer(self, parts[4], parts[5])
        elif self.path in (RUNTIME + "init/error", EXTENSION + "init/error",
                           EXTENSION + "exit/error"):
            environment.complain(self.path, self.body())
            self.answer(202, {"status": "OK"})
        else:
            self.body()
            self.answer(404, {"errorType": "NotFound"})


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass                            # a process that was killed


class Extension:
    def __init__(self, name, events):
        self.name = name
        self.events = events
        self.pending = queue.Queue()
        self.waits = False
        self.errors = []


class Environment:
    def __init__(self, command, extensions=(), env=None, timeout=60,
                 freezes=True, log=None, max_request=REQUEST_MAX):
        self.command = command
        self.commands = [shlex.split(text) for text in extensions]
        self.env = env or {}
        self.timeout = timeout
        self.freezes = freezes
        self.log = log
        self.max_request = max_request
        self.lock = threading.Condition()
        self.one = threading.Lock()     # invocation at a time
        self.server = Server(("127.0.0.1", 0), Api)
        self.server.environment = self
        self.odd = 0                    # events that are none
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        self.errors = []                # what was reported, or went wrong
        self.counts = {"invocations": 0, "starts": 0, "freezes": 0,
                       "timeouts": 0}
        self.init_seconds = None
        self.processes = []
        self.forget()

    @property
    def port(self):
        return self.server.server_address[1]

    def forget(self):
        self.extensions = {}
        self.waits = False              # the runtime
        self.event = None               # (id, event, answer, deadline)
        self.answers = {}
        self.frozen = False
        self.group = None
        self.runtime = None             # the connection that it waits on

    # Processes

    def environ(self):
        keep = {name: os.environ[name]
                for name in ("PATH", "HOME", "LD_LIBRARY_PATH",
                             "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
                if name in os.environ}
        return {
            **keep,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.port}",
            "AWS_LAMBDA_FUNCTION_NAME": "vault",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/vault",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/22/[$LATEST]0",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY":
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "LAMBDA_TASK_ROOT": "/var/task",
            "TZ": ":UTC",
            **self.env,
        }

    def spawn(self, command):
        output = open(self.log, "ab") if self.log else None
        process = subprocess.Popen(
            command, env=self.environ(), stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, process_group=self.group or 0)
        if output:
            output.close()
        self.group = self.group or process.pid
        self.processes.append(process)

    def start(self):
        """As Lambda begins: extensions, the runtime, and who is ready."""
        self.forget()
        self.processes = []
        self.counts["starts"] += 1
        began = time.monotonic()
        for command in self.commands:
            self.spawn(command)
        if not self.wait_for(lambda: len(self.extensions)
                             >= len(self.commands), INIT_MAX):
            raise Failed("Extension.Crash", "did not register")
        self.spawn(self.command)
        if not self.wait_for(self.is_idle, INIT_MAX):
            raise Failed("Sandbox.Timedout" if not self.is_dead()
                         else "Runtime.ExitError"
                         if self.processes[-1].poll() is not None
                         else "Extension.Crash", "init")
        self.init_seconds = time.monotonic() - began
        self.freeze()

    def is_dead(self):
        return any(process.poll() is not None for process in self.processes)

    def wait_for(self, what, seconds):
        end = time.monotonic() + seconds
        with self.lock:
            while not what():
                left = end - time.monotonic()
                if left <= 0 or self.is_dead():
                    return False
                self.lock.wait(min(left, 0.2))
        return True

    def is_idle(self):
        return self.waits and self.event is None and not self.answers and all(
            extension.waits and extension.pending.empty()
            for extension in self.extensions.values())

    def signal(self, number):
        try:
            os.killpg(self.group, number)
        except (ProcessLookupError, TypeError):
            pass

    def freeze(self):
        if self.freezes and not self.frozen:
            self.frozen = True
            self.counts["freezes"] += 1
            self.signal(signal.SIGSTOP)

    def thaw(self):
        if self.frozen:
            self.frozen = False
            self.signal(signal.SIGCONT)

    def kill(self):
        self.signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes = []
        with self.lock:
            for answer in self.answers.values():
                answer.end(Failed("Runtime.ExitError", "killed"))
            self.forget()
            self.lock.notify_all()

    def shutdown(self, reason="spindown"):
        """SHUTDOWN to those who asked for it, SIGTERM to the runtime, and
        SIGKILL for who is left after two seconds, or nobody has asked: the
        exit codes."""
        if not self.processes:
            return {"codes": [], "seconds": 0}
        self.thaw()
        began = time.monotonic()
        deadline = int((time.time() + PATIENCE) * 1000)
        with self.lock:
            for extension in self.extensions.values():
                if "SHUTDOWN" in extension.events:
                    extension.pending.put({
                        "eventType": "SHUTDOWN", "shutdownReason": reason,
                        "deadlineMs": deadline})
        asked = any("SHUTDOWN" in extension.events
                    for extension in self.extensions.values())
        self.processes[-1].send_signal(signal.SIGTERM)
        for process in self.processes if asked else self.processes[-1:]:
            left = began + PATIENCE - time.monotonic()
            try:
                process.wait(max(left, 0.01))
            except subprocess.TimeoutExpired:
                pass
        codes = [process.poll() for process in self.processes]
        seconds = time.monotonic() - began
        self.kill()
        return {"codes": codes, "seconds": round(seconds, 3)}

    # The Extensions API

    def register(self, call):
        name = call.headers.get("Lambda-Extension-Name")
        try:
            events = json.loads(call.body() or b"{}").get("events", [])
        except ValueError:
            events = None
        if not name or events is None or not set(events) <= {"INVOKE",
                                                             "SHUTDOWN"}:
            return call.answer(400, {"errorType": "InvalidRequest"})
        identity = str(uuid.uuid4())
        with self.lock:
            self.extensions[identity] = Extension(name, events)
            self.lock.notify_all()
        call.answer(200, {"functionName": "vault",
                          "functionVersion": "$LATEST", "handler": "",
                          "accountId": "123456789012"},
                    [("Lambda-Extension-Identifier", identity)])

    def extension_next(self, call):
        identity = call.headers.get("Lambda-Extension-Identifier")
        extension = self.extensions.get(identity)
        if extension is None:
            return call.answer(403, {
                "errorType": "Extension.UnknownExtensionIdentifier"})
        with self.lock:
            odd = self.odd > 0
            self.odd -= odd
            extension.waits = not odd
            self.lock.notify_all()
        if odd:
            return call.answer(200, {"what": "is this?"})
        event = extension.pending.get()
        extension.waits = False
        call.answer(200, event, [
            ("Lambda-Extension-Event-Identifier", str(uuid.uuid4()))])

    # The Runtime API

    def runtime_next(self, call):
        with self.lock:
            self.waits = True
            self.runtime = call
            self.lock.notify_all()
            while self.event is None:
                self.lock.wait()
                if self.runtime is not call:
                    return              # another process by now
            identity, event, answer, deadline = self.event
            self.event = None
            self.waits = False
        answer.began = time.monotonic()
        call.answer(200, event, [
            ("Lambda-Runtime-Aws-Request-Id", identity),
            ("Lambda-Runtime-Deadline-Ms", deadline),
            ("Lambda-Runtime-Invoked-Function-Arn", ARN),
            ("Lambda-Runtime-Trace-Id",
             "Root=1-00000000-000000000000000000000000;Sampled=0")])

    def runtime_answer(self, call, identity, what):
        answer = self.answers.get(identity)
        if answer is None or what not in ("response", "error"):
            call.body()
            return call.answer(400, {"errorType": "InvalidRequestID"})
        try:
            if what == "error":
                self.take_error(answer, call.body())
            elif call.headers.get("Lambda-Runtime-Function-Response-Mode",
                                  "").lower() == "streaming":
                self.take_stream(answer, call)
            else:
                self.take_buffered(answer, call.body())
        except (ConnectionError, ValueError) as error:
            answer.end(Failed("Runtime.TruncatedResponse", str(error)))
            raise
        finally:
            with self.lock:
                self.answers.pop(identity, None)
                self.lock.notify_all()
        call.answer(202, {"status": "OK"})

    def take_error(self, answer, body):
        try:
            error = json.loads(body)
        except ValueError:
            error = {}
        answer.end(Failed(error.get("errorType", "Unhandled"),
                          error.get("errorMessage", "")))

    def take_buffered(self, answer, body):
        if len(body) > BUFFERED_MAX:
            return answer.end(Failed("Function.ResponseSizeTooLarge",
                                     f"{len(body)} bytes"))
        answer.begin("buffered", {}, raw=True)
        answer.add(body)
        answer.end()

    def take_stream(self, answer, call):
        """JSON, eight zeros and a body, if it says that it is of HTTP."""
        kind = call.headers.get("Content-Type", "")
        head = b""
        is_http = kind == "application/vnd.awslambda.http-integration-response"
        if not is_http:
            answer.begin("streaming", {}, raw=True)
        for piece in call.pieces():
            if not answer.known.is_set():
                head += piece
                meta, zeros, piece = head.partition(PRELUDE_END)
                if not zeros:
                    continue
                answer.begin("streaming", json.loads(meta))
            if answer.size + len(piece) > STREAMED_MAX:
                return answer.end(Failed("Function.ResponseSizeTooLarge", ""))
            if piece:
                answer.add(piece)
        failed = getattr(call, "trailers", {}).get(
            "lambda-runtime-function-error-type")
        if not answer.known.is_set():
            failed = failed or "Runtime.InvalidPrelude"
        answer.end(Failed(failed) if failed else None)

    def complain(self, path, body):
        self.errors.append(f"{path}: {body.decode(errors='replace')}")

    # Invocations

    def invoke(self, event):
        """The answer of the function, as a context that holds the next one
        off until all processes have asked for it."""
        return Invocation(self, event)

    def begin(self, event):
        text = json.dumps(event).encode()
        if len(text) > self.max_request:
            raise Failed("RequestTooLarge", f"{len(text)} bytes")
        self.counts["invocations"] += 1
        if not self.processes or self.is_dead():
            if self.processes:
                self.errors.append("a process has ended")
                self.kill()
            self.start()
        self.thaw()
        answer = Answer()
        identity = str(uuid.uuid4())
        deadline = int((time.time() + self.timeout) * 1000)
        with self.lock:
            self.answers[identity] = answer
            for extension in self.extensions.values():
                if "INVOKE" in extension.events:
                    extension.pending.put({
                        "eventType": "INVOKE", "deadlineMs": deadline,
                        "requestId": identity, "invokedFunctionArn": ARN,
                        "tracing": {"type": "X-Amzn-Trace-Id", "value": ""}})
            self.event = (identity, text, answer, deadline)
            self.lock.notify_all()
        threading.Thread(target=self.watch, args=(answer, identity),
                         daemon=True).start()
        return answer

    def watch(self, answer, identity):
        """The function's timeout, and processes that die."""
        end = time.monotonic() + self.timeout
        while answer.ended is None:
            if time.monotonic() > end:
                self.counts["timeouts"] += 1
                answer.end(Failed("Sandbox.Timedout", "Task timed out after "
                                  f"{self.timeout:.2f} seconds"))
                self.kill()
                return
            if self.is_dead() and identity in self.answers:
                answer.end(Failed("Runtime.ExitError", "a process has ended"))
                self.kill()
                return
            with self.lock:
                self.lock.wait(0.1)

    def finish(self):
        """Frozen as soon as nobody has anything to do."""
        if self.processes and self.wait_for(self.is_idle, self.timeout):
            self.freeze()

    def state(self):
        return {
            "port": self.port, "group": self.group, "frozen": self.frozen,
            "processes": [process.pid for process in self.processes],
            "init": self.init_seconds, "timeout": self.timeout,
            "freezes": self.freezes, "errors": self.errors,
            "counts": self.counts, "odd": self.odd,
            "extensions": {extension.name: extension.events
                           for extension in self.extensions.values()},
        }


class Invocation:
    def __init__(self, environment, event):
        self.environment = environment
        self.event = event

    def __enter__(self):
        self.environment.one.acquire()
        try:
            self.answer = self.environment.begin(self.event)
            return self.answer
        except BaseException:
            self.environment.one.release()
            raise

    def __exit__(self, *args):
        try:
            while self.answer.ended is None:    # nobody reads it any more
                try:
                    self.answer.pieces.get(timeout=1)
                except queue.Empty:
                    pass
            self.environment.finish()
        finally:
            self.environment.one.release()
