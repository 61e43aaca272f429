"""S3 and SES as moto has them, with one user, one bucket, one domain that may
send, and signatures in headers checked: a judge of our signatures that nobody
of this project wrote.

Started by t/peers/moto.  Prints the port of its control, serves until stdin
ends.  GET /control tells the port of AWS, the keys, the objects (key to size)
and the mails, checked as smtp.py does; POST /control puts
{"put": {"key": "text"}}, removes {"drop": ["key"]} or reads {"get": ["key"]},
by boto3.
"""

import http.server
import json
import logging
import os
import sys
import threading

# The requests of begin(), before signatures are asked for
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "5"

import boto3                                        # noqa: E402
import smtp                                         # noqa: E402
from moto.core import DEFAULT_ACCOUNT_ID            # noqa: E402
from moto.server import ThreadedMotoServer          # noqa: E402
from moto.ses.models import ses_backends            # noqa: E402

BUCKET = "vault"
STATE = {"bucket": BUCKET, "domain": "example.com", "region": "us-east-1"}


def client(service, key="none", secret="none"):
    return boto3.client(
        service, endpoint_url=f"http://127.0.0.1:{STATE['aws']}",
        region_name=STATE["region"], aws_access_key_id=key,
        aws_secret_access_key=secret)


def begin():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    STATE["aws"] = server.get_host_and_port()[1]
    iam = client("iam")
    iam.create_user(UserName="alice")
    iam.put_user_policy(
        UserName="alice", PolicyName="all", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Resource": "*", "Action": [
                    "s3:*", "ses:SendEmail", "ses:SendRawEmail"]}]}))
    keys = iam.create_access_key(UserName="alice")["AccessKey"]
    STATE["key"] = keys["AccessKeyId"]
    STATE["secret"] = keys["SecretAccessKey"]
    client("s3").create_bucket(Bucket=BUCKET)
    client("ses").verify_domain_identity(Domain=STATE["domain"])


def s3():
    return client("s3", STATE["key"], STATE["secret"])


def mails():
    sent = ses_backends[DEFAULT_ACCOUNT_ID][STATE["region"]].sent_messages
    return [{**smtp.check(each.raw_data.encode()), "from": each.source,
             "to": each.destinations} for each in sent]


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
            "bodies": bodies, "mails": mails()}).encode()
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
