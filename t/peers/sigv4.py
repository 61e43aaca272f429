"""Checks AWS signatures, version 4, as S3 does: in headers and in the query.

Written from docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth
and sigv4-query-string-auth, and from nothing of src/: what both get wrong
would be wrong in the same way.

    checked = check(request, find_key, region, now)

request    method, target ("/path?query" as it came), headers (pairs)
find_key   access key -> {"secret", "token", "expires"}, or None
now        seconds
checked    {"by": "header" | "query", "payload": hex or UNSIGNED-PAYLOAD, ...}

Raises Refused with the status, code and message of S3.
"""

import calendar
import collections
import email.utils
import hashlib
import hmac
import re
import time
import urllib.parse

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
SKEW = 900
LONGEST = 604800

Request = collections.namedtuple("Request", "method target headers")


class Refused(Exception):
    def __init__(self, status, code, message, **fields):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message
        self.fields = fields


def malformed(message, **fields):
    return Refused(400, "AuthorizationHeaderMalformed", message, **fields)


def bad_query(message, **fields):
    return Refused(400, "AuthorizationQueryParametersError", message, **fields)


def encode(raw, keep=""):
    return urllib.parse.quote(raw, safe="-._~" + keep)


def decode(text):
    return urllib.parse.unquote_to_bytes(text)


def split_target(target):
    path, _, query = target.partition("?")
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        pairs.append((decode(name.replace("+", " ")),
                      decode(value.replace("+", " "))))
    return decode(path), pairs


def seconds_of(stamp):
    """Of 20130524T000000Z; None if it is none."""
    if not re.fullmatch(r"\d{8}T\d{6}Z", stamp or ""):
        return None
    try:
        return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return None


def stamp_of(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def canonical_query(pairs):
    coded = sorted((encode(name), encode(value)) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in coded)


def canonical_headers(headers, signed):
    lines = []
    for name in signed:
        values = [" ".join(value.split()) for key, value in headers
                  if key.lower() == name]
        if not values:
            raise Refused(403, "SignatureDoesNotMatch",
                          f"The signed header {name} is not there")
        lines.append(f"{name}:{','.join(values)}\n")
    return "".join(lines)


def canonical_request(request, pairs, signed, payload):
    path, _ = split_target(request.target)
    return "\n".join([
        request.method, encode(path, "/"), canonical_query(pairs),
        canonical_headers(request.headers, signed), ";".join(signed), payload])


def string_to_sign(stamp, scope, canonical):
    return "\n".join([ALGORITHM, stamp, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])


def signature(secret, scope, text):
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def header(request, name):
    values = [v for k, v in request.headers if k.lower() == name]
    return values[0].strip() if values else None


def parse_authorization(value):
    match = re.fullmatch(
        ALGORITHM + r"\s+Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),"
        r"\s*Signature=([0-9a-f]{64})", value)
    if not match:
        if value.startswith("AWS4-"):
            raise malformed("The authorization header is malformed")
        raise Refused(400, "InvalidArgument", "Unsupported Authorization Type")
    return match.groups()


def parse_scope(credential, region, wrong):
    parts = credential.split("/")
    if len(parts) != 5:
        raise wrong("the Credential is mal-formed; expecting "
                    '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"')
    key, day, scope_region, service, last = parts
    if not re.fullmatch(r"\d{8}", day):
        raise wrong(f'incorrect date format "{day}"')
    if scope_region != region:
        raise wrong(f"the region '{scope_region}' is wrong; expecting "
                    f"'{region}'", Region=region)
    if service != "s3":
        raise wrong(f'incorrect service "{service}"; expecting "s3"')
    if last != "aws4_request":
        raise wrong(f'incorrect terminal "{last}"; expecting "aws4_request"')
    return key, day, "/".join(parts[1:])


def check_signed_names(request, signed):
    if signed != sorted(set(signed)) or signed != [s.lower() for s in signed]:
        raise malformed("SignedHeaders are not sorted lower-case names")
    if "host" not in signed:
        raise Refused(403, "AccessDenied", "Host has to be a signed header")
    unsigned = sorted({name.lower() for name, _ in request.headers
                       if name.lower().startswith("x-amz-")} - set(signed))
    if unsigned:
        raise Refused(403, "AccessDenied", "There were headers present in the "
                      "request which were not signed",
                      HeadersNotSigned=", ".join(unsigned))


def key_of(find_key, access_key, token, now):
    key = find_key(access_key)
    if key is None or (key.get("token") and not token):
        raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you "
                      "provided does not exist in our records.",
                      AWSAccessKeyId=access_key)
    if token and token != key.get("token"):
        raise Refused(400, "InvalidToken", "The provided token is malformed "
                      "or otherwise invalid.", **{"Token-0": token})
    if token and key.get("expires") and now >= key["expires"]:
        raise Refused(400, "ExpiredToken", "The provided token has expired.",
                      **{"Token-0": token})
    return key


def compare(request, pairs, signed, payload, stamp, scope, key, given):
    canonical = canonical_request(request, pairs, signed, payload)
    text = string_to_sign(stamp, scope, canonical)
    if not hmac.compare_digest(signature(key["secret"], scope, text), given):
        raise Refused(403, "SignatureDoesNotMatch", "The request signature we "
                      "calculated does not match the signature you provided. "
                      "Check your key and signing method.",
                      StringToSign=text, CanonicalRequest=canonical)


def check_header(request, pairs, find_key, region, now):
    credential, signed, given = parse_authorization(
        header(request, "authorization"))
    access_key, day, scope = parse_scope(credential, region, malformed)
    signed = signed.split(";")

    stamp = header(request, "x-amz-date")
    when = seconds_of(stamp)
    if when is None:
        date = email.utils.parsedate_tz(header(request, "date") or "")
        if stamp or not date:
            raise Refused(403, "AccessDenied", "AWS authentication requires a "
                          "valid Date or x-amz-date header")
        when = email.utils.mktime_tz(date)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(when))

    check_signed_names(request, signed)
    payload = header(request, "x-amz-content-sha256")
    if payload is None:
        raise Refused(400, "InvalidRequest", "Missing required header for this "
                      "request: x-amz-content-sha256")
    if payload != UNSIGNED and not re.fullmatch("[0-9a-f]{64}", payload):
        raise Refused(400, "InvalidArgument", "x-amz-content-sha256 must be "
                      "UNSIGNED-PAYLOAD, or a valid sha256 value.")

    key = key_of(find_key, access_key, header(request, "x-amz-security-token"),
                 now)
    if abs(now - when) > SKEW:
        raise Refused(403, "RequestTimeTooSkewed", "The difference between the "
                      "request time and the current time is too large.",
                      RequestTime=stamp, ServerTime=stamp_of(now),
                      MaxAllowedSkewMilliseconds=str(SKEW * 1000))
    if day != stamp[:8]:
        raise malformed(f'Invalid credential date "{day}". This date is not '
                        f'the same as X-Amz-Date: "{stamp[:8]}".')

    compare(request, pairs, signed, payload, stamp, scope, key, given)
    return {"by": "header", "key": access_key, "signed": signed,
            "payload": payload}


def query_values(pairs):
    """The X-Amz- parameters of a presigned URL, each exactly once."""
    wanted = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date",
              "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"]
    found = {}
    for name, value in pairs:
        name = name.decode("latin-1")
        if name in wanted + ["X-Amz-Security-Token"]:
            if name in found:
                raise bad_query(f"{name} is there twice")
            found[name] = value.decode("latin-1")
    if any(name not in found for name in wanted):
        raise bad_query("Query-string authentication version 4 requires the "
                        + ", ".join(wanted) + " parameters.")
    return found


def expires_of(text):
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise bad_query("X-Amz-Expires should be a number")
    if int(text) < 1:
        raise bad_query("X-Amz-Expires must be non-negative")
    if int(text) > LONGEST:
        raise bad_query("X-Amz-Expires must be less than a week (in seconds); "
                        f"that is, the given X-Amz-Expires must be less than "
                        f"{LONGEST} seconds")
    return int(text)


def check_query(request, pairs, find_key, region, now):
    found = query_values(pairs)
    if found["X-Amz-Algorithm"] != ALGORITHM:
        raise bad_query('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    access_key, day, scope = parse_scope(found["X-Amz-Credential"], region,
                                         bad_query)
    stamp = found["X-Amz-Date"]
    when = seconds_of(stamp)
    if when is None or stamp[:8] != day:
        raise bad_query("X-Amz-Date must be in the ISO8601 Long Format "
                        '"yyyyMMdd\'T\'HHmmss\'Z\'" and of the scope\'s day')
    life = expires_of(found["X-Amz-Expires"])

    if when - now > SKEW:
        raise Refused(403, "AccessDenied", "Request is not valid yet",
                      ServerTime=stamp_of(now))
    if now >= when + life:
        raise Refused(403, "AccessDenied", "Request has expired",
                      **{"X-Amz-Expires": str(life),
                         "Expires": stamp_of(when + life),
                         "ServerTime": stamp_of(now)})

    signed = found["X-Amz-SignedHeaders"].split(";")
    check_signed_names(request, signed)
    key = key_of(find_key, access_key, found.get("X-Amz-Security-Token"), now)
    payload = header(request, "x-amz-content-sha256") or UNSIGNED
    rest = [pair for pair in pairs if pair[0] != b"X-Amz-Signature"]
    compare(request, rest, signed, payload, stamp, scope, key,
            found["X-Amz-Signature"])
    return {"by": "query", "key": access_key, "signed": signed,
            "payload": payload}


def check(request, find_key, region, now):
    _, pairs = split_target(request.target)
    names = {name.lower() for name, _ in pairs}
    by_header = header(request, "authorization") is not None
    by_query = bool(names & {b"x-amz-algorithm", b"x-amz-signature"})

    if by_header and by_query:
        raise Refused(400, "InvalidArgument", "Only one auth mechanism "
                      "allowed; only the X-Amz-Algorithm query parameter, "
                      "Signature query string parameter or the Authorization "
                      "header should be specified")
    if by_header:
        return check_header(request, pairs, find_key, region, now)
    if by_query:
        return check_query(request, pairs, find_key, region, now)
    raise Refused(403, "AccessDenied", "Access Denied")


# AWS's published examples, S3 API reference

EXAMPLE_KEY = {"secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
EXAMPLE_DAY = 1369353600                # 2013-05-24T00:00:00Z
EXAMPLE_HOST = ("Host", "examplebucket.s3.amazonaws.com")
EMPTY = hashlib.sha256(b"").hexdigest()


def example(method, target, signed, given, headers, payload=EMPTY):
    return Request(method, target, [
        EXAMPLE_HOST, ("x-amz-date", "20130524T000000Z"),
        ("x-amz-content-sha256", payload), *headers,
        ("Authorization", ALGORITHM + " Credential=AKIAIOSFODNN7EXAMPLE/"
         f"20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},"
         f"Signature={given}")])


def examples():
    names = "x-amz-content-sha256;x-amz-date"
    yield "GET object", 0, example(
        "GET", "/test.txt", f"host;range;{names}",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        [("Range", "bytes=0-9")])
    yield "PUT object", 0, example(
        "PUT", "/test%24file.text", f"date;host;{names};x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        [("Date", "Fri, 24 May 2013 00:00:00 GMT"),
         ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
        hashlib.sha256(b"Welcome to Amazon S3.").hexdigest())
    yield "GET ?lifecycle", 0, example(
        "GET", "/?lifecycle", f"host;{names}",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", [])
    yield "GET bucket", 0, example(
        "GET", "/?max-keys=2&prefix=J", f"host;{names}",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", [])
    yield "presigned GET", 86399, Request(
        "GET", "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
        "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
        "&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        [EXAMPLE_HOST])


def code_of(request, now):
    try:
        check(request, {"AKIAIOSFODNN7EXAMPLE": EXAMPLE_KEY}.get, "us-east-1",
              now)
    except Refused as refused:
        return refused.code
    return "accepted"


def altered(request):
    """The ways a good request is spoilt, and the code that each draws."""
    method, target, headers = request
    yield "method", "SignatureDoesNotMatch", Request("HEAD", target, headers)
    yield "path", "SignatureDoesNotMatch", Request(method, "/x" + target,
                                                   headers)
    sign = "&" if "?" in target else "?"
    yield "a parameter more", "SignatureDoesNotMatch", Request(
        method, target + sign + "x=1", headers)
    yield "host", "SignatureDoesNotMatch", Request(
        method, target, [("Host", "example.com"), *headers[1:]])
    yield "an unsigned x-amz header", "AccessDenied", Request(
        method, target, [*headers, ("X-Amz-Acl", "public-read")])
    yield "an x-ms header is not looked at", "accepted", Request(
        method, target, [*headers, ("x-ms-blob-type", "BlockBlob")])
    if "X-Amz-Signature" in target:
        yield "both methods", "InvalidArgument", Request(
            method, target, [*headers, ("Authorization", ALGORITHM)])


def self_test():
    """Prints TAP."""
    count = 0

    def result(got, want, name):
        nonlocal count
        count += 1
        ok = "ok" if got == want else "not ok"
        print(f"{ok} {count} - {name}"
              + ("" if got == want else f": {got}, not {want}"))

    for name, late, request in examples():
        now = EXAMPLE_DAY + late
        result(code_of(request, now), "accepted", name)
        result(code_of(request, now + 1 + (0 if late else SKEW)),
               "AccessDenied" if late else "RequestTimeTooSkewed",
               name + ", too late")
        result(code_of(request, EXAMPLE_DAY - SKEW - 1),
               "AccessDenied" if late else "RequestTimeTooSkewed",
               name + ", too early")
        for what, code, bad in altered(request):
            result(code_of(bad, now), code, f"{name}, {what}")
    print(f"1..{count}")
