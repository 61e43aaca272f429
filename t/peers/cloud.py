"""AWS as its command line client shows it, for scripts that deploy.

Started by t/peers/cloud.  cloud_tool stands in for aws and its companions and
brings each command here.  Prints its port, serves until stdin ends.

Commands of a service are held to botocore's models, which are those of the
real client: an operation or an option that it would not take is an error, and
so is one that is missing.  Of state there is what aws/*.sh need: an image
repository, buckets, one stack, a function that migrates.

GET /control    the log of commands, and all state
POST /control   {"fail": "aws s3 sync"}: the next command that begins so fails;
                {"migrations_fail": n}; {"forget": true}: empties the log;
                {"reset": true}: all is as at the start;
                {"status": "ROLLBACK_COMPLETE"}: the stack's
POST /run       program, stdin, arguments, each after its length in four bytes;
                answered by a code and two such texts, stdout and stderr
"""

import copy
import fnmatch
import hashlib
import http.server
import json
import os
import re
import struct

import jmespath
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from cloud_stack import Stack
from serve import serve

ACCOUNT = "123456789012"
REGION = "eu-west-1"
GLOBAL = {"region": 1, "output": 1, "query": 1, "endpoint-url": 1,
          "no-cli-pager": 0, "no-paginate": 0, "cli-read-timeout": 1,
          "max-items": 1}
MODELS = {}

# What the client adds to the models
CUSTOM = {("cloudfront", "create-invalidation"): {"paths"}}

EMPTY = {"log": [], "fail": None, "migrations_fail": 0, "migrated": 0,
         "repositories": {}, "buckets": {}, "invalidated": 0, "logins": [],
         "prelogins": 0, "protected": True, "clusters": ["cluster"]}
STATE = copy.deepcopy(EMPTY)
STACK = Stack()


class Failed(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def refuse(text):
    raise Failed(252, f"aws: error: {text}\n")


def fault(code, operation, text):
    raise Failed(254, f"\nAn error occurred ({code}) when calling the "
                      f"{operation} operation: {text}\n")


def model(service):
    if service not in MODELS:
        MODELS[service] = ServiceModel(
            Loader().load_service_model(service, "service-2"), service)
    return MODELS[service]


def split(arguments, flags=()):
    """Options and what is between them; a list for what comes often."""
    options, words, i = {}, [], 0
    while i < len(arguments):
        word = arguments[i]
        i += 1
        if not word.startswith("--"):
            words.append(word)
            continue
        name, values = word[2:], []
        if name not in flags and GLOBAL.get(name, 1):
            while i < len(arguments) and not arguments[i].startswith("--"):
                values.append(arguments[i])
                i += 1
                if name in GLOBAL:
                    break
        options[name] = values
    return options, words


def one(options, name, default=None):
    values = options.get(name)
    return values[0] if values else default


def operation(service, name):
    for candidate in model(service).operation_names:
        if xform_name(candidate, "-") == name:
            return model(service).operation_model(candidate)
    refuse(f"there is no {service} {name}")


def check(service, name, options, positional=0):
    """What the real client would refuse."""
    op = operation(service, name)
    custom = CUSTOM.get((service, name), set())
    members = {xform_name(m, "-"): m for m in op.input_shape.members}
    for option, values in options.items():
        if option in GLOBAL or option in custom:
            continue
        if option.startswith("no-") and option[3:] in members:
            continue
        if option not in members:
            refuse(f"{service} {name} has no --{option}")
        shape = op.input_shape.members[members[option]]
        if not values and shape.type_name != "boolean":
            refuse(f"--{option} expects an argument")
        for value in values:
            if shape.type_name in ("structure", "list") \
                    and value[:1] in "[{":
                json.loads(value)
            if getattr(shape, "enum", None) and value not in shape.enum:
                refuse(f"--{option} may not be {value}")
    for required in op.input_shape.required_members:
        if xform_name(required, "-") not in options \
                and not positional and not custom:
            refuse(f"{service} {name} needs --{xform_name(required, '-')}")
    return op.name


def shown(options, answer):
    query = one(options, "query")
    if query:
        answer = jmespath.search(query, answer)
    if options.get("output", [""])[-1] == "json":
        return json.dumps(answer) + "\n"
    if answer is None:
        return "None\n"
    rows = answer if isinstance(answer, list) else [answer]
    lines = []
    for row in rows:
        if isinstance(row, list):
            lines.append("\t".join(str(cell) for cell in row))
        elif isinstance(row, dict):
            lines.append(json.dumps(row))
        else:
            lines.append(str(row))
    if all(not isinstance(row, (list, dict)) for row in rows):
        return "\t".join(lines) + "\n" if lines else ""
    return "\n".join(lines) + "\n"


# What each command does

def sts_get_caller_identity(options):
    return {"Account": ACCOUNT}


def repository(options, name):
    repo = one(options, "repository-name")
    if repo not in STATE["repositories"]:
        fault("RepositoryNotFoundException", name, f"{repo} is not there")
    return STATE["repositories"][repo]


def ecr_describe_repositories(options):
    for name in options["repository-names"]:
        if name not in STATE["repositories"]:
            fault("RepositoryNotFoundException", "DescribeRepositories", name)
    return {}


def ecr_create_repository(options):
    name = one(options, "repository-name")
    if name in STATE["repositories"]:
        fault("RepositoryAlreadyExistsException", "CreateRepository", name)
    STATE["repositories"][name] = {
        "images": {}, "mutability": one(options, "image-tag-mutability"),
        "scan": one(options, "image-scanning-configuration")}
    return {}


def ecr_delete_repository(options):
    repository(options, "DeleteRepository")
    del STATE["repositories"][one(options, "repository-name")]
    return {}


def ecr_put_lifecycle_policy(options):
    repository(options, "PutLifecyclePolicy")["lifecycle"] = json.loads(
        one(options, "lifecycle-policy-text"))
    return {}


def ecr_set_repository_policy(options):
    repository(options, "SetRepositoryPolicy")["policy"] = json.loads(
        one(options, "policy-text"))
    return {}


def ecr_describe_images(options):
    images = repository(options, "DescribeImages")["images"]
    tag = one(options, "image-ids").partition("imageTag=")[2]
    if tag not in images:
        fault("ImageNotFoundException", "DescribeImages", tag)
    return {"imageDetails": [{"imageDigest": images[tag]}]}


def s3api_head_bucket(options):
    if one(options, "bucket") not in STATE["buckets"]:
        fault("404", "HeadBucket", "Not Found")
    return {}


def s3api_create_bucket(options):
    place = one(options, "create-bucket-configuration")
    region = one(options, "region")
    if (place or "").partition("=")[2] != ("" if region == "us-east-1"
                                           else region):
        fault("IllegalLocationConstraintException", "CreateBucket", "where?")
    STATE["buckets"][one(options, "bucket")] = {}
    return {}


def s3api_put_public_access_block(options):
    s3api_head_bucket(options)
    return {}


def s3api_head_object(options):
    bucket = STATE["buckets"].get(one(options, "bucket"), {})
    if one(options, "key") not in bucket:
        fault("404", "HeadObject", "Not Found")
    return {}


def s3api_list_object_versions(options):
    bucket = STATE["buckets"][one(options, "bucket")]
    if not bucket:
        return {}
    return {"Versions": [{"Key": key, "VersionId": "v1"}
                         for key in sorted(bucket)]}


def s3api_delete_objects(options):
    bucket = STATE["buckets"][one(options, "bucket")]
    objects = json.loads(one(options, "delete"))["Objects"]
    if not 0 < len(objects) <= 1000:
        fault("MalformedXML", "DeleteObjects", "The XML is not well-formed")
    for each in objects:
        bucket.pop(each["Key"], None)
    return {}


def s3api_delete_bucket(options):
    name = one(options, "bucket")
    if STATE["buckets"][name]:
        fault("BucketNotEmpty", "DeleteBucket", name)
    del STATE["buckets"][name]
    return {}


def cloudformation_describe_stacks(options):
    if STACK.status is None:
        fault("ValidationError", "DescribeStacks", "Stack with id "
              f"{one(options, 'stack-name')} does not exist")
    return STACK.described()


def cloudformation_describe_stack_events(options):
    return {"StackEvents": [{
        "ResourceStatus": "CREATE_FAILED", "LogicalResourceId": "Cluster",
        "ResourceStatusReason": "there is a reason"}]}


def cloudformation_delete_stack(options):
    web = STACK.output("WebBucketName")
    if STATE["buckets"][web]:
        fault("ValidationError", "DeleteStack", "the bucket is not empty")
    del STATE["buckets"][web]
    STACK.status = None
    return {}


def lambda_invoke(options):
    with open(one(options, "payload")[len("fileb://"):],
              encoding="utf-8") as event:
        if json.load(event) != {"job": "migrate"}:
            fault("InvalidRequestContentException", "Invoke", "which job?")
    if one(options, "function-name") != STACK.output("MigrateFunctionName"):
        fault("ResourceNotFoundException", "Invoke", "which function?")
    out = options["words"][0]
    if STATE["migrations_fail"] > 0:
        STATE["migrations_fail"] -= 1
        body = b'{"statusCode":503,"headers":{}}' + bytes(8) + b'{"message":' \
               b'"The database is not available. Please try again."}'
    else:
        steps = 0 if STATE["migrated"] else 27
        STATE["migrated"] += 1
        body = b'{"statusCode":200,"headers":{}}' + bytes(8) \
               + b'{"job":"migrate","steps":%d,"ms":1234}' % steps
    with open(out, "wb") as answer:
        answer.write(body)
    return {"StatusCode": 200, "ExecutedVersion": "$LATEST"}


def lambda_wait_function_updated_v2(options):
    return None


def cloudfront_create_invalidation(options):
    if one(options, "distribution-id") != STACK.output("DistributionId"):
        fault("NoSuchDistribution", "CreateInvalidation", "which?")
    STATE["invalidated"] += 1
    return {}


def dsql_get_cluster(options):
    if one(options, "identifier") not in STATE["clusters"]:
        fault("ResourceNotFoundException", "GetCluster", "it is gone")
    return {}


def dsql_update_cluster(options):
    STATE["protected"] = "no-deletion-protection-enabled" not in options
    return {}


def dsql_delete_cluster(options):
    if STATE["protected"]:
        fault("ValidationException", "DeleteCluster", "it is protected")
    STATE["clusters"].remove(one(options, "identifier"))
    return {}


def wait(service, name, options):
    op = {"function-updated-v2": "get-function",
          "stack-delete-complete": "describe-stacks"}.get(name)
    if not op:
        refuse(f"nobody waits for {name}")
    check(service, op, options)
    return ""


def s3_place(text):
    match = re.fullmatch(r"s3://([^/]+)/?(.*)", text)
    if not match:
        return None
    if match[1] not in STATE["buckets"]:
        fault("NoSuchBucket", "PutObject", match[1])
    return match[1], match[2]


def s3_files(folder):
    for root, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = os.path.join(root, name)
            yield os.path.relpath(path, folder), path


def s3_command(name, arguments):
    flags = ("only-show-errors", "recursive", "delete", "size-only", "quiet")
    options, words = split(arguments, flags)
    known = set(flags) | set(GLOBAL) | {"content-type", "cache-control",
                                        "exclude", "include"}
    unknown = set(options) - known
    if unknown:
        refuse(f"s3 {name}: Unknown options: {sorted(unknown)}")
    if name == "rm":
        bucket = STATE["buckets"][s3_place(words[0])[0]]
        bucket.clear()
        return ""
    source, (bucket, prefix) = words[0], s3_place(words[1])
    objects = STATE["buckets"][bucket]
    if name == "cp" and "recursive" not in options:
        files = [(prefix or os.path.basename(source), source)]
    else:
        files = [(prefix + path, place) for path, place in s3_files(source)]
    for key, path in files:
        with open(path, "rb") as file:
            data = file.read()
        old = objects.get(key)
        if name == "sync" and "size-only" in options and old \
                and old["size"] == len(data):
            continue
        objects[key] = {
            "size": len(data), "sum": hashlib.sha256(data).hexdigest(),
            "type": one(options, "content-type"),
            "cache": one(options, "cache-control"),
            "times": (old or {}).get("times", 0) + 1}
    if name == "sync" and "delete" in options:
        here = {key for key, _ in files}
        for key in [key for key in objects if key not in here]:
            del objects[key]
    return ""


def deploy_command(arguments):
    flags = ("no-fail-on-empty-changeset",)
    options, _ = split(arguments, flags)
    known = set(flags) | set(GLOBAL) | {
        "stack-name", "template-file", "capabilities", "parameter-overrides",
        "tags"}
    unknown = set(options) - known
    if unknown:
        refuse(f"Unknown options: {sorted(unknown)}")
    overrides = options.get("parameter-overrides", [])
    if len(overrides) == 1 and overrides[0].startswith("file://"):
        path = overrides[0][len("file://"):]
        if os.stat(path).st_mode & 0o077:
            refuse("others may read the secrets in " + path)
        with open(path, encoding="utf-8") as file:
            overrides = json.load(file)
    try:
        STACK.deploy(one(options, "stack-name"),
                     one(options, "template-file"),
                     dict(pair.split("=", 1) for pair in overrides),
                     options.get("capabilities", []))
    except ValueError as error:
        fault("ValidationError", "CreateChangeSet", str(error))
    for name in STACK.buckets():
        STATE["buckets"].setdefault(name, {})
    return ""


def aws(arguments):
    options, words = split(arguments, ())
    # Options of all commands may stand before the service.
    rest = list(arguments)
    while rest and rest[0].startswith("--"):
        rest = rest[1 + GLOBAL.get(rest[0][2:], 1):]
    service, name, rest = rest[0], rest[1], rest[2:]
    before = arguments[:len(arguments) - len(rest) - 2]

    if service == "configure":
        return REGION + "\n"
    if service == "s3":
        return s3_command(name, before + rest)
    if (service, name) == ("cloudformation", "deploy"):
        return deploy_command(before + rest)
    if (service, name) == ("ecr", "get-login-password"):
        return "a-password\n"
    if name == "wait":
        options, _ = split(before + rest[1:])
        return wait(service, rest[0], options)

    options, words = split(before + rest)
    # A positional argument comes last, after an option's value.
    positional = []
    if (service, name) == ("lambda", "invoke"):
        for values in options.values():
            positional += values[1:]
            del values[1:]
        positional += words
    check({"s3api": "s3"}.get(service, service), name, options,
          bool(positional))
    handler = globals().get(f"{service}_{name}".replace("-", "_"))
    if not handler:
        refuse(f"the peer does not know {service} {name}")
    answer = handler(options | {"words": positional} if positional
                     else options)
    return "" if answer is None else shown(options, answer)


def content(source):
    """What tells one image from another"""
    kind, _, path = source.partition(":")
    if kind.endswith("-archive"):
        with open(path, "rb") as file:
            return file.read()
    return source.encode()


def push(target, source):
    match = re.fullmatch(
        rf"{ACCOUNT}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([^:]+):(.+)",
        target)
    if not match:
        raise Failed(1, f"denied: {target}\n")
    if not STATE["logins"]:
        raise Failed(1, "no basic auth credentials\n")
    images = STATE["repositories"][match[2]]["images"]
    if match[3] in images:
        raise Failed(1, "the tag is immutable\n")
    images[match[3]] = "sha256:" + hashlib.sha256(content(source)).hexdigest()


def companion(program, stdin, arguments):
    text = " ".join(arguments)
    if re.search(r"\blogin\b", text):
        if stdin != "a-password\n":
            raise Failed(1, "no password\n")
        STATE["logins"].append(program)
    elif program == "curl":
        STATE["prelogins"] += 1
        if arguments[-1] != f"https://{STACK.output('DistributionName')}" \
                            "/identity/accounts/prelogin":
            raise Failed(22, "curl: (22) 404\n")
    elif program == "skopeo":
        push(arguments[-1].removeprefix("docker://"), arguments[-2])
    elif program == "crane":
        push(arguments[-1], arguments[-2])
    elif "push" in arguments:
        push(arguments[-1], "pushed")
    elif not fnmatch.filter(arguments, "load") + fnmatch.filter(
            arguments, "pull") + fnmatch.filter(arguments, "tag"):
        raise Failed(1, f"{program}: what?\n")
    return ""


def run(program, stdin, arguments):
    # Without what is the same in all of them
    short = re.sub(r"--region \S+ --output text ", "",
                   " ".join([program] + arguments))
    STATE["log"].append(short)
    try:
        if STATE["fail"] and short.startswith(STATE["fail"]):
            STATE["fail"] = None
            raise Failed(255, "it fails because it shall\n")
        out = aws(arguments) if program == "aws" \
            else companion(program, stdin, arguments)
        return {"out": out, "err": "", "code": 0}
    except Failed as error:
        return {"out": "", "err": str(error), "code": error.code}


def texts(data):
    while data:
        length, = struct.unpack_from(">I", data)
        yield data[4:4 + length].decode()
        data = data[4 + length:]


def told(answer):
    out, err = answer["out"].encode(), answer["err"].encode()
    return struct.pack(">II", answer["code"], len(out)) + out \
        + struct.pack(">I", len(err)) + err


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def answer(self, value):
        self.send(json.dumps(value).encode())

    def send(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(STATE | {"stack": STACK.shown()})

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if self.path == "/run":
            program, stdin, *arguments = texts(body)
            self.send(told(run(program, stdin, arguments)))
            return
        body = json.loads(body)
        if body.pop("reset", None):
            STACK.__init__()
            STATE.update(copy.deepcopy(EMPTY))
        if body.pop("forget", None):
            STATE["log"] = []
        if "status" in body:
            STACK.status = body.pop("status")
        STATE.update(body)
        self.answer({})


if __name__ == "__main__":
    serve(Handler)
