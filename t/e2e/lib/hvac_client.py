"""hvac, which nobody of this project wrote, through the agent: prints TAP.

    hvac_client.py URL CONTROL          of the agent and of the Vault behind it

It has no token; the agent's is used.
"""

import json
import sys
import urllib.request

import hvac
import hvac.exceptions

COUNT = 0


def result(ok, name):
    global COUNT
    COUNT += 1
    print(f"{'ok' if ok else 'not ok'} {COUNT} - {name}", flush=True)


def raises(kind, call, name):
    try:
        call()
    except kind:
        result(True, name)
    except Exception as other:          # pylint: disable=broad-except
        result(False, f"{name}: {other!r}")
    else:
        result(False, f"{name}: nothing")


def set_state(url, **state):
    urllib.request.urlopen(urllib.request.Request(
        url, json.dumps(state).encode(), method="POST")).read()


def version_2(client):
    kv = client.secrets.kv.v2
    made = kv.create_or_update_secret("app/db", {"password": "p1"})
    result(made["data"]["version"] == 1, "KV 2: created")
    made = kv.create_or_update_secret("app/db", {"password": "p2"}, cas=1)
    result(made["data"]["version"] == 2, "updated")
    raises(hvac.exceptions.InvalidRequest,
           lambda: kv.create_or_update_secret("app/db", {}, cas=1), "checked")
    read = kv.read_secret_version("app/db", raise_on_deleted_version=True)
    result(read["data"]["data"] == {"password": "p2"}, "read")
    read = kv.read_secret_version("app/db", version=1,
                                  raise_on_deleted_version=True)
    result(read["data"]["data"] == {"password": "p1"}, "an older version")
    kv.patch("app/db", {"user": "u"})
    read = kv.read_secret_version("app/db", raise_on_deleted_version=True)
    result(read["data"]["data"] == {"password": "p2", "user": "u"}, "patched")
    result(kv.list_secrets("app")["data"]["keys"] == ["db"], "listed")
    meta = kv.read_secret_metadata("app/db")
    result(meta["data"]["current_version"] == 3, "metadata")
    kv.delete_latest_version_of_secret("app/db")
    raises(hvac.exceptions.InvalidPath,
           lambda: kv.read_secret_version(
               "app/db", raise_on_deleted_version=True), "deleted")
    kv.delete_metadata_and_all_versions("app/db")
    raises(hvac.exceptions.InvalidPath, lambda: kv.list_secrets("app"),
           "and all of it")


def version_1(client):
    kv = client.secrets.kv.v1
    kv.create_or_update_secret("one", {"k": "v"}, mount_point="kv")
    read = kv.read_secret("one", mount_point="kv")
    result(read["data"] == {"k": "v"}, "KV 1: created and read")
    result(kv.list_secrets("", mount_point="kv")["data"]["keys"] == ["one"],
           "listed")
    kv.delete_secret("one", mount_point="kv")
    raises(hvac.exceptions.InvalidPath,
           lambda: kv.read_secret("one", mount_point="kv"), "deleted")


def leases(client):
    creds = client.read("database/creds/app")
    result(creds["data"]["username"].startswith("v-app-"), "credentials")
    renewed = client.sys.renew_lease(creds["lease_id"])
    result(renewed["lease_id"] == creds["lease_id"], "their lease is renewed")
    client.sys.revoke_lease(creds["lease_id"])
    raises(hvac.exceptions.InvalidRequest,
           lambda: client.sys.renew_lease(creds["lease_id"]), "and revoked")
    wrapped = client.read("database/creds/app", wrap_ttl="60s")
    result(wrapped["wrap_info"]["ttl"] == 60, "wrapped")
    token = wrapped["wrap_info"]["token"]
    data = client.sys.unwrap(token)["data"]
    result(data["username"].startswith("v-app-"), "and unwrapped")


def states(client, control):
    result(client.sys.is_sealed() is False, "it is not sealed")
    result(client.auth.token.lookup_self()["data"]["type"] == "service",
           "there is a token")
    raises(hvac.exceptions.InvalidPath, lambda: client.secrets.kv.v2
           .read_secret_version("none", raise_on_deleted_version=True),
           "no such secret")
    set_state(control, denied=["secret/data/denied"])
    raises(hvac.exceptions.Forbidden, lambda: client.secrets.kv.v2
           .read_secret_version("denied", raise_on_deleted_version=True),
           "permission denied")
    set_state(control, sealed=True)
    raises(hvac.exceptions.VaultDown, lambda: client.secrets.kv.v2
           .read_secret_version("a", raise_on_deleted_version=True), "sealed")
    result(client.sys.is_sealed() is True, "it is sealed")
    set_state(control, sealed=False)


def main():
    client = hvac.Client(url=sys.argv[1])
    version_2(client)
    version_1(client)
    leases(client)
    states(client, sys.argv[2])
    print(f"1..{COUNT}")


main()
