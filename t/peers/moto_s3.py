"""S3 as moto has it, with one user, one bucket, and signatures in headers
checked: a judge of our signatures that nobody of this project wrote.

Started by t/peers/moto.  Prints the port of its control, serves until stdin
ends.  GET /control tells the port of S3, the keys and the objects (key to
size); POST /control puts {"put": {"key": "text"}}, removes {"drop": ["key"]}
or reads {"get": ["key"]}, by boto3.
"""

import http.server
import json
import logging
import os
import sys
import threading

# The requests of begin(), before signatures are asked for
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3                                        # noqa: E402
from moto.server import ThreadedMotoServer          # noqa: E402

BUCKET = "vault"
STATE = {"bucket": BUCKET, "region": "us-east-1"}


def client(service, key="none", secret="none"):
    return boto3.client(
        service, endpoint_url=f"http://127.0.0.1:{STATE['s3']}",
        region_name=STATE["region"], aws_access_key_id=key,
        aws_secret_access_key=secret)


def begin():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    STATE["s3"] = server.get_host_and_port()[1]
    iam = client("iam")
    iam.create_user(UserName="alice")
    iam.put_user_policy(
        UserName="alice", PolicyName="all", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
    keys = iam.create_access_key(UserName="alice")["AccessKey"]
    STATE["key"] = keys["AccessKeyId"]
    STATE["secret"] = keys["SecretAccessKey"]
    client("s3").create_bucket(Bucket=BUCKET)


def s3():
    return client("s3", STATE["key"], STATE["secret"])


class Control(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        wish = json.loads(self.rfile.read(
            int(self.headers.get("Content-Length") or 0)))
        for key, text in wish.get("put", {}).items():
            s3().put_object(Bucket=BUCKET, Key=key, Body=text.encode())
        for key in wish.get("drop", []):
            s3().delete_object(Bucket=BUCKET, Key=key)
        self.tell({key: s3().get_object(Bucket=BUCKET, Key=key)["Body"].read()
                   .decode("latin-1") for key in wish.get("get", [])})

    def do_GET(self):
        self.tell({})

    def tell(self, bodies):
        found = s3().list_objects_v2(Bucket=BUCKET).get("Contents", [])
        body = json.dumps({**STATE, "objects": {
            each["Key"]: each["Size"] for each in found},
            "bodies": bodies}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    begin()
    control = http.server.HTTPServer(("127.0.0.1", 0), Control)
    print(control.server_address[1], flush=True)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)                 # whoever still asks asks in vain


if __name__ == "__main__":
    main()
