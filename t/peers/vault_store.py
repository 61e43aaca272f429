"""What the Vault of the tests keeps: two key-value engines and leases.

  secret/      KV version 2        kv/     KV version 1
  database/creds/ROLE              other credentials with each read, leased

Each function gives (data, members of the envelope beside it), or raises.
"""

import secrets
import threading
import time

from vault_login import Refused

LOCK = threading.RLock()
KV1 = {}                        # path -> data
KV2 = {}                        # path -> {"versions": [...], "meta": {...}}
LEASES = {}                     # id -> {"end", "ttl", "renewable"}
NUMBER = 0

STATE = {
    "kv_ttl": 2764800,          # lease_duration of KV 1's answers
    "lease_ttl": 3600,          # of dynamic credentials
    "lease_renewable": True,
    "lease_max": 86400,         # seconds that renewals may add up to
}


def stamp():
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime())


def missing():
    return Refused(404)


def names_below(paths, prefix):
    """As LIST gives them: folders end with a slash."""
    prefix = prefix.rstrip("/") + "/" if prefix else ""
    names = {path[len(prefix):].split("/", 1)[0]
             + ("/" if "/" in path[len(prefix):] else "")
             for path in paths if path.startswith(prefix)}
    if not names:
        raise missing()
    return {"keys": sorted(names)}, {}


# KV version 1

def kv1(op, path, body, query):
    if op == "list":
        return names_below(KV1, path)
    if op == "read":
        if path not in KV1:
            raise missing()
        return KV1[path], {"lease_duration": STATE["kv_ttl"]}
    if op == "write":
        if not body:
            raise Refused(400, "missing data fields")
        KV1[path] = body
    elif op == "delete":
        KV1.pop(path, None)
    else:
        raise Refused(405, "unsupported operation")
    return None, {}


# KV version 2

def version_metadata(version):
    return {name: version[name] for name in (
        "created_time", "custom_metadata", "deletion_time", "destroyed",
        "version")}


def kv2_read(path, query):
    entry = KV2.get(path)
    if not entry or not entry["versions"]:
        raise missing()
    number = int(query.get("version") or 0) or len(entry["versions"])
    if not 1 <= number <= len(entry["versions"]):
        raise missing()
    version = entry["versions"][number - 1]
    metadata = version_metadata(version)
    if version["deletion_time"] or version["destroyed"]:
        gone = Refused(404)
        gone.data = {"data": None, "metadata": metadata}
        raise gone
    return {"data": version["data"], "metadata": metadata}, {}


def kv2_write(path, body, merge):
    if not isinstance(body, dict) or not isinstance(body.get("data"), dict):
        raise Refused(400, "no data provided")
    entry = KV2.get(path)
    if merge and not entry:
        raise missing()
    entry = KV2.setdefault(path, {"versions": [], "created": stamp()})
    cas = (body.get("options") or {}).get("cas")
    if cas is not None and cas != len(entry["versions"]):
        raise Refused(400, "check-and-set parameter did not match the "
                      "current version")
    data = dict(body["data"])
    if merge:
        data = {**entry["versions"][-1]["data"], **data}
        data = {name: value for name, value in data.items()
                if value is not None}
    version = {
        "data": data, "created_time": stamp(), "custom_metadata": None,
        "deletion_time": "", "destroyed": False,
        "version": len(entry["versions"]) + 1}
    entry["versions"].append(version)
    return version_metadata(version), {}


def kv2_data(op, path, body, query):
    if op == "read":
        return kv2_read(path, query)
    if op in ("write", "patch"):
        return kv2_write(path, body, op == "patch")
    if op == "delete":
        if path in KV2:
            KV2[path]["versions"][-1]["deletion_time"] = stamp()
        return None, {}
    raise Refused(405, "unsupported operation")


def kv2_metadata(op, path, body, query):
    if op == "list":
        return names_below(KV2, path)
    if op == "delete":
        KV2.pop(path, None)
        return None, {}
    if op != "read" or path not in KV2:
        raise missing()
    entry = KV2[path]
    return {
        "cas_required": False, "created_time": entry["created"],
        "current_version": len(entry["versions"]), "custom_metadata": None,
        "delete_version_after": "0s", "max_versions": 0, "oldest_version": 0,
        "updated_time": entry["versions"][-1]["created_time"],
        "versions": {str(v["version"]): {
            "created_time": v["created_time"], "destroyed": v["destroyed"],
            "deletion_time": v["deletion_time"]}
            for v in entry["versions"]}}, {}


def kv2_many(kind, path, body):
    if not isinstance((body or {}).get("versions"), list):
        raise Refused(400, "No version number provided")
    for number in body["versions"]:
        version = KV2[path]["versions"][int(number) - 1]
        if kind == "destroy":
            version["destroyed"], version["data"] = True, None
        else:
            version["deletion_time"] = stamp() if kind == "delete" else ""
    return None, {}


def kv2(op, path, body, query):
    kind, _, rest = path.partition("/")
    if kind == "data" and rest:
        return kv2_data(op, rest, body, query)
    if kind == "metadata":
        return kv2_metadata(op, rest, body, query)
    if kind in ("delete", "undelete", "destroy") and op == "write":
        return kv2_many(kind, rest, body)
    raise Refused(404)


# Leases

def database(op, path, body, query):
    global NUMBER
    kind, _, role = path.partition("/")
    if kind != "creds" or op != "read" or not role:
        raise Refused(405, "unsupported operation")
    NUMBER += 1
    lease = f"database/creds/{role}/{secrets.token_urlsafe(18)}"
    now = time.time()
    LEASES[lease] = {"end": now + STATE["lease_ttl"], "renewed": 0,
                     "last": now + STATE["lease_max"]}
    return {"username": f"v-{role}-{NUMBER}",
            "password": f"dyn-{role}-{NUMBER}"}, {
        "lease_id": lease, "renewable": STATE["lease_renewable"],
        "lease_duration": STATE["lease_ttl"]}


def lease_renew(body):
    lease = LEASES.get((body or {}).get("lease_id"))
    if not lease or lease["end"] < time.time():
        raise Refused(400, "lease not found")
    if not STATE["lease_renewable"]:
        raise Refused(400, "lease is not renewable")
    wanted = int(body.get("increment") or STATE["lease_ttl"])
    lease["end"] = min(time.time() + wanted, lease["last"])
    lease["renewed"] += 1
    return None, {"lease_id": body["lease_id"], "renewable": True,
                  "lease_duration": max(0, round(lease["end"]
                                                 - time.time()))}


def lease_revoke(body):
    LEASES.pop((body or {}).get("lease_id"), None)
    return None, {}


MOUNTS = {"secret": kv2, "kv": kv1, "database": database}


def handle(op, path, body, query):
    mount, _, rest = path.partition("/")
    engine = MOUNTS.get(mount)
    if engine is None:
        raise Refused(404, f'no handler for route "{path}". '
                      "route entry not found.")
    with LOCK:
        return engine(op, rest, body, query)
