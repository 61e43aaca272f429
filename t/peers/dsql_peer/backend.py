"""The PostgreSQL behind: where it is, a connection for the peer itself, and
what a cluster of Aurora DSQL has in its schema sys.
"""

import asyncio
import secrets
import struct
import urllib.parse

from . import wire

SETUP = """
CREATE SCHEMA IF NOT EXISTS sys;

CREATE TABLE IF NOT EXISTS sys.jobs (
    job_id text PRIMARY KEY, status text, details text, job_type text,
    class_id oid, object_id oid, object_name text, start_time timestamptz,
    update_time timestamptz);

CREATE TABLE IF NOT EXISTS sys.iam_pg_role_mappings (
    pg_role_name text, arn text, PRIMARY KEY (pg_role_name, arn));

CREATE TABLE IF NOT EXISTS sys.roles (name text PRIMARY KEY, login boolean);

-- Roles belong to all databases of the server behind, which tests share.
CREATE OR REPLACE PROCEDURE sys.create_role(role text, login boolean)
    LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF role = 'admin' OR EXISTS (SELECT 1 FROM sys.roles WHERE name = role)
    THEN
        RAISE EXCEPTION 'role "%" already exists', role
            USING ERRCODE = '42710';
    END IF;
    INSERT INTO sys.roles VALUES (role, login);
    BEGIN
        EXECUTE format('CREATE ROLE %I LOGIN', role);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
END $$;

CREATE OR REPLACE PROCEDURE sys.iam_grant(role text, principal text)
    LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM sys.roles WHERE name = role) THEN
        RAISE EXCEPTION 'role "%" does not exist', role
            USING ERRCODE = '42704';
    END IF;
    INSERT INTO sys.iam_pg_role_mappings VALUES (role, principal)
        ON CONFLICT DO NOTHING;
END $$;

CREATE OR REPLACE PROCEDURE sys.iam_revoke(role text, principal text)
    LANGUAGE sql SECURITY DEFINER AS $$
    DELETE FROM sys.iam_pg_role_mappings
        WHERE pg_role_name = role AND arn = principal;
$$;

-- COMMIT, which is what makes new states visible, is refused in a transaction.
CREATE OR REPLACE PROCEDURE sys.wait_for_job(job text)
    LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        COMMIT;
        EXIT WHEN NOT EXISTS (SELECT 1 FROM sys.jobs WHERE job_id = job
            AND status IN ('submitted', 'processing'));
        PERFORM pg_sleep(0.02);
    END LOOP;
END $$;

REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA sys FROM PUBLIC;
GRANT USAGE ON SCHEMA sys TO PUBLIC;
GRANT SELECT ON sys.jobs TO PUBLIC;
GRANT EXECUTE ON PROCEDURE sys.wait_for_job(text) TO PUBLIC;
GRANT SELECT ON sys.iam_pg_role_mappings TO admin;
GRANT EXECUTE ON PROCEDURE sys.create_role(text, boolean),
    sys.iam_grant(text, text), sys.iam_revoke(text, text) TO admin;
ALTER SCHEMA public OWNER TO admin;
"""

CREATE_ADMIN = """DO $$ BEGIN CREATE ROLE admin LOGIN CREATEROLE;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""

# As Aurora DSQL is: snapshots, no waiting for locks, UTC.
SETTINGS = {
    "default_transaction_isolation": "repeatable read",
    "lock_timeout": "50",
    "timezone": "UTC",
    "client_encoding": "UTF8",
}


class Failed(Exception):
    pass


class Backend:
    """postgresql://user@host:port/database"""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.host = parts.hostname
        self.port = parts.port or 5432
        self.user = parts.username
        self.database = parts.path.lstrip("/")
        self.lock = asyncio.Lock()

    def greeting(self, user, parameters):
        """What opens a session of that user."""
        known = {"user": user, "database": self.database, **SETTINGS}
        for name in ("application_name", "extra_float_digits", "DateStyle",
                     "IntervalStyle", "bytea_output"):
            if name in parameters:
                known[name] = parameters[name]
        return wire.startup(known)

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(self.host,
                                                                 self.port)
        self.writer.write(wire.startup({"user": self.user,
                                        "database": self.database}))
        await self.answer()

    async def answer(self):
        """Rows as lists of texts, up to the next prompt."""
        rows, problem = [], None
        while True:
            head = await self.reader.readexactly(5)
            kind, length = wire.HEAD.unpack(head)
            body = await self.reader.readexactly(length - 4)
            if kind == b"D":
                rows.append(cells(body))
            elif kind == b"E":
                problem = wire.error_fields(body)
            elif kind == b"Z":
                if problem:
                    raise Failed(problem["M"])
                return rows

    async def run(self, sql):
        async with self.lock:
            self.writer.write(wire.query(sql))
            return await self.answer()

    async def prepare(self):
        # one transaction a statement: another peer may do the same now
        await self.run(CREATE_ADMIN)
        await self.run(SETUP)


def cells(body):
    count, = wire.SHORT.unpack_from(body)
    at, found = 2, []
    for _ in range(count):
        length, = struct.unpack_from("!i", body, at)
        at += 4
        found.append(None if length < 0 else body[at:at + length].decode())
        at += max(length, 0)
    return found


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def new_job_id():
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return "".join(secrets.choice(letters) for _ in range(26))


class Jobs:
    """Indexes that are built after their statement has been answered."""

    def __init__(self, backend, state):
        self.backend, self.state = backend, state
        self.tasks = set()

    async def submit(self, job_id, kind, name):
        """Makes the job known, and its index not valid yet."""
        known = f"to_regclass({quoted(name)})" if name else "NULL::regclass"
        await self.backend.run(
            f"INSERT INTO sys.jobs VALUES ({quoted(job_id)}, 'submitted', "
            f"NULL, {quoted(kind)}, 1259, {known}, {quoted(name)}, now(), "
            "now())")
        if kind == "INDEX_BUILD" and name:
            await self.backend.run("UPDATE pg_index SET indisvalid = false "
                                   f"WHERE indexrelid = {known}")
        task = asyncio.get_running_loop().create_task(
            self.finish(job_id, kind, known if name else None))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def finish(self, job_id, kind, known):
        await asyncio.sleep(self.state.job_delay)
        status = "failed" if self.state.job_fails else "completed"
        if kind == "INDEX_BUILD" and known and status == "completed":
            await self.backend.run("UPDATE pg_index SET indisvalid = true "
                                   f"WHERE indexrelid = {known}")
        await self.backend.run(f"UPDATE sys.jobs SET status = '{status}', "
                               "update_time = now() WHERE job_id = "
                               + quoted(job_id))
