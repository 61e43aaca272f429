"""One connection of a client, and its connection to PostgreSQL.

What needs no decision is forwarded as it comes, whole pipelines at once.  What
is refused is replaced by a statement that PostgreSQL refuses at the same place
(Refusals), so that order, skipping and the state of the transaction are its
own.  The end of a transaction that wrote waits until PostgreSQL has answered
what came before: only then can it be decided.
"""

import asyncio
import re

from . import conflict, rules, wire
from .backend import new_job_id
from .dialect import (BEGIN, COMMIT, DDL, OTHER, ROLLBACK, WRITE, Verdict,
                      judge)

SWALLOW, HOLD_READY, ONLY_READY, CUT = 1, 2, 4, 8   # flags of an Item

NOTHING = Verdict(OTHER, "")
COMMITTED = Verdict(COMMIT, "COMMIT")
MARK = re.compile(rb"dsql_refuse_(\d+)")


class Refusals:
    """Errors of ours, as SQL that fails when PostgreSQL analyses it: after the
    check that the transaction has not failed before, and not when parsing."""

    def __init__(self):
        self.numbers, self.list = {}, []

    def sql(self, refusal):
        number = self.numbers.get(refusal)
        if number is None:
            number = self.numbers[refusal] = len(self.list)
            self.list.append(refusal)
        return f"SELECT dsql_refuse_{number}()"

    def find(self, body):
        match = MARK.search(body)
        return self.list[int(match.group(1))] if match else None


REFUSALS = Refusals()


class Item:
    """A message that PostgreSQL has yet to answer."""

    __slots__ = ("kind", "verdict", "tx", "flags", "exists", "raw", "portal")

    def __init__(self, kind, verdict=NOTHING, tx=None, flags=0, raw=None):
        self.kind, self.verdict, self.tx = kind, verdict, tx
        self.flags, self.exists = flags, False
        self.raw = raw          # of the extended protocol, to be sent again
        self.portal = None      # that is executed


class Portal:
    __slots__ = ("verdict", "types", "raw", "size")

    def __init__(self, verdict=NOTHING, types=b"\0\0", raw=b"", size=0):
        self.verdict, self.types = verdict, types
        self.raw, self.size = raw, size


UNBOUND = Portal()


class BackendSide(asyncio.Protocol):
    def __init__(self, session):
        self.session = session

    def data_received(self, data):
        self.session.from_backend(data)

    def connection_lost(self, _):
        self.session.backend_lost()


class Session:
    def __init__(self, server, client, user):
        self.server, self.state = server, server.state
        self.client = client            # transport
        self.user = user
        self.backend = None             # transport
        self.loop = asyncio.get_running_loop()

        self.inbox, self.outbox = bytearray(), bytearray()
        self.items = []                 # not answered yet, in order
        self.held = None                # what to do when all are
        self.skip = False               # until Sync: after an error
        self.mute = False               # towards the client, until Z
        self.delayed = []               # answers of what may not be committed
        self.paused = False             # backend's answers wait for a job
        self.jobs = []                  # of the transaction
        self.statements, self.portals = {}, {}
        self.tx = None                  # as far as the client has told
        self.catalog = self.state.catalog
        self.timers = []
        self.handlers = {
            ord("P"): self.on_parse, ord("B"): self.on_bind,
            ord("D"): self.on_describe, ord("E"): self.on_execute,
            ord("C"): self.on_close, ord("H"): self.on_flush,
            ord("S"): self.on_sync, ord("Q"): self.on_query,
            ord("X"): self.on_terminate,
        }

    # Life

    async def start(self, parameters):
        backend = self.server.backend
        self.backend, _ = await self.loop.create_connection(
            lambda: BackendSide(self), backend.host, backend.port)
        self.items.append(Item("S"))    # the first prompt
        self.backend.write(backend.greeting(self.user, parameters))
        self.state.sessions.add(self)
        self.timers.append(self.loop.call_later(
            self.state.lifetime, self.close, "lifetime"))
        self.settings_changed()

    def settings_changed(self):
        if self.state.close_after:
            self.timers.append(self.loop.call_later(
                self.state.close_after, self.close, "close_after"))
        for transport in (self.client, self.backend):
            if transport.is_closing():
                continue
            if self.state.freeze:
                transport.pause_reading()
            elif not transport.is_reading():
                transport.resume_reading()

    def close(self, _why=""):
        for timer in self.timers:
            timer.cancel()
        self.state.sessions.discard(self)
        if self.backend:
            self.backend.abort()
        self.client.abort()

    def backend_lost(self):
        if not self.paused:
            self.state.sessions.discard(self)
            self.client.close()

    # From the client

    def from_client(self, data):
        if self.state.delay:
            self.loop.call_later(self.state.delay, self.take, data)
        else:
            self.take(data)

    def take(self, data):
        self.inbox += data
        self.pump()

    def pump(self):
        while not self.held and self.pump_once():
            pass

    def pump_once(self):
        """Forwards what is there; true if it may be called again."""
        inbox, out = self.inbox, []
        at, end = 0, len(inbox)
        while end - at >= 5 and not self.held:
            length = 1 + wire.LENGTH.unpack_from(inbox, at + 1)[0]
            if length - 1 > self.state.max_message or length < 5:
                self.close("message too long")
                return False
            if at + length > end:
                break
            handler = self.handlers.get(inbox[at])
            raw = bytes(inbox[at:at + length])
            at += length
            if handler is None:
                self.close("unknown message")
                return False
            if not self.skip or raw[:1] in b"SX":
                handler(raw, out)
        del inbox[:at]

        if self.held:
            out.append(wire.FLUSH)
        if out:
            self.backend.write(b"".join(out))
        return bool(self.held) and self.release()

    def release(self):
        if self.held is None or self.items:
            return False
        then, self.held = self.held, None
        then()
        return self.held is None

    def expect(self, kind, verdict=NOTHING, flags=0, raw=None):
        item = Item(kind, verdict, self.tx, flags, raw)
        self.items.append(item)
        return item

    def refuse(self, refusal, out):
        """In place of a message of the extended protocol."""
        raw = wire.parse(b"", REFUSALS.sql(refusal))
        out.append(raw)
        self.expect("P", raw=raw)

    def on_parse(self, raw, out):
        name, at = wire.cut(raw, 5)
        sql, at = wire.cut(raw, at)
        verdicts = judge(sql.decode("utf-8", "replace"))
        verdict = verdicts[0] if len(verdicts) == 1 else NOTHING
        self.statements[name] = (verdict, raw[at:])
        if verdict.refused:
            raw = wire.parse(name, REFUSALS.sql(verdict.refused))
        elif len(verdicts) == 1:        # else none, or PostgreSQL's error
            raw = wire.parse(name, verdict.sql, raw[at:])
        out.append(raw)
        self.expect("P", verdict, raw=raw)

    def on_bind(self, raw, out):
        portal, at = wire.cut(raw, 5)
        name, at = wire.cut(raw, at)
        verdict, types = self.statements.get(name, (NOTHING, b"\0\0"))
        self.portals[portal] = Portal(verdict, types, raw, len(raw) - at)
        out.append(raw)
        self.expect("B", raw=raw)

    def on_describe(self, raw, out):
        name, _ = wire.cut(raw, 6)
        verdict = NOTHING
        if raw[5:6] == b"P":
            verdict = self.portals.get(name, UNBOUND).verdict
        elif name in self.statements:
            verdict = self.statements[name][0]
        out.append(raw)
        self.expect("D", verdict, raw=raw)

    def on_close(self, raw, out):
        out.append(raw)
        self.expect("C", raw=raw)

    def on_flush(self, raw, out):
        out.append(raw)

    def on_terminate(self, raw, out):
        out.append(raw)
        self.client.close()

    def on_execute(self, raw, out):
        portal, _ = wire.cut(raw, 5)
        portal = self.portals.get(portal, UNBOUND)
        verdict = portal.verdict

        if verdict.kind == COMMIT:
            self.held = lambda: self.commit(raw)
            return

        refusal = self.admit(verdict, portal.size)
        if refusal:
            self.refuse(refusal, out)
            return
        if self.tx and self.tx.doomed and conflict.is_plain_write(verdict):
            conflict.pretend(self, verdict, out)
            return
        out.append(raw)
        self.expect("E", verdict, raw=raw).portal = portal

    def admit(self, verdict, size):
        """Keeps the books; None, or why the statement is refused."""
        if verdict.kind == ROLLBACK:
            self.tx = None
            return None
        if self.tx is None:
            self.tx = rules.Transaction(False, self.state.catalog)
        if verdict.kind == BEGIN:
            self.tx.explicit = True
        if self.tx.failed:
            return None
        if rules.checks_catalog(verdict):
            self.state.counts["statements"] += 1
            refusal = self.check_catalog()
            if refusal:
                return refusal
        return self.tx.add(verdict, size)

    def check_catalog(self):
        if self.state.oc001_next > 0:
            self.state.oc001_next -= 1
            return rules.STALE
        if self.catalog != self.state.catalog and not self.tx.statements:
            self.catalog = self.tx.catalog = self.state.catalog
            if self.state.stale:
                return rules.STALE
        return None

    # The end of a transaction

    def judge_end(self, tx):
        end = tx.end(self.state)
        if end == rules.STALE:
            self.catalog = self.state.catalog
        return end

    def tell_delayed(self):
        self.client.write(b"".join(self.delayed))
        self.delayed.clear()

    def commit(self, raw):
        """COMMIT by the extended protocol; all before has been answered."""
        if self.skip:
            return
        tx = self.tx or rules.Transaction(True, self.state.catalog)
        end = None if tx.failed else self.judge_end(tx)

        if tx.exceeded and not tx.failed:
            self.backend.write(wire.parse(b"", REFUSALS.sql(rules.ROWS)))
            self.skip = True
        elif end == "eof before":
            self.close(end)
        elif end is None or end == "eof after":
            self.backend.write(raw)
            self.expect("E", COMMITTED, CUT if end else 0)
            self.tx = None
        else:
            self.backend.write(wire.run_unnamed("ROLLBACK") + wire.FLUSH)
            for kind in "PBE":
                self.expect(kind, flags=SWALLOW)
            self.held = lambda: self.tell_refused(end)

    def tell_refused(self, end):
        self.client.write(self.error(end))
        self.skip = True
        self.tx = None

    def error(self, refusal, sql=""):
        code, words, *detail = refusal
        self.state.note(code, words, sql)
        return wire.error("ERROR", code, words, *detail)

    def on_sync(self, raw, out):
        tx = self.tx
        if self.skip or tx is None or tx.explicit or not tx.writes():
            self.sync(out)
        elif tx.may_stop(self.state):
            self.held = self.end_implicit
        else:
            self.state.commits += 1
            self.sync(out)

    def sync(self, out, flags=0):
        self.skip = False
        out.append(wire.SYNC)
        self.expect("S", flags=flags)
        if self.tx and not self.tx.explicit:
            self.tx = None

    def end_implicit(self):
        out = []
        end = None if self.skip else self.judge_end(self.tx)
        if end == "eof before":
            self.close(end)
            return
        if end != "eof after":
            self.tell_delayed()
        if self.tx.exceeded:
            self.refuse(rules.ROWS, out)
        elif end is not None and end != "eof after":
            self.refuse(end, out)
        self.sync(out, CUT if end == "eof after" else 0)
        self.backend.write(b"".join(out))

    # The simple protocol: psql

    def on_query(self, raw, out):
        sql = raw[5:-1].decode("utf-8", "replace")
        verdicts = judge(sql)
        refusal = next((v.refused for v in verdicts if v.refused), None)
        kinds = [verdict.kind for verdict in verdicts]

        if not refusal and kinds == [COMMIT]:
            self.held = lambda: self.commit_query(raw)
            return

        explicit = self.tx is not None and self.tx.explicit
        for verdict in verdicts:
            if refusal:
                break
            if verdict.kind == COMMIT:
                self.tx = None
            else:
                refusal = self.admit(verdict, len(verdict.sql))
        if refusal:
            out.append(wire.query(REFUSALS.sql(refusal)))
            self.expect("Q")
            return

        text = "; ".join(verdict.sql for verdict in verdicts)
        writes = WRITE in kinds or DDL in kinds
        if writes and not explicit and BEGIN not in kinds:
            self.wrap(text, verdicts, out)
        else:
            out.append(wire.query(text) if verdicts else raw)
            self.expect("Q", verdicts[0] if len(verdicts) == 1 else NOTHING)

    def wrap(self, text, verdicts, out):
        """What is a transaction without a word becomes one with words."""
        out.append(wire.query("BEGIN") + wire.query(text))
        self.expect("Q", flags=SWALLOW)
        self.expect("Q", verdicts[0] if len(verdicts) == 1 else NOTHING,
                    HOLD_READY)
        self.held = self.end_wrapped

    def end_wrapped(self):
        tx = self.tx
        end = None if tx.failed or tx.exceeded else self.judge_end(tx)
        if end == "eof before":
            self.close(end)
            return
        good = not (tx.failed or tx.exceeded) and end in (None, "eof after")
        if end != "eof after":
            self.tell_delayed()
        if not good and end:
            self.client.write(self.error(end))
        self.mute = False
        self.backend.write(wire.query("COMMIT" if good else "ROLLBACK"))
        self.expect("Q", flags=ONLY_READY | (CUT if end and good else 0))
        if not good:
            self.jobs.clear()
        self.tx = None

    def commit_query(self, raw):
        tx = self.tx or rules.Transaction(True, self.state.catalog)
        end = None if tx.failed else self.judge_end(tx)
        if end == "eof before":
            self.close(end)
        elif end is None or end == "eof after":
            self.backend.write(raw)
            self.expect("Q", COMMITTED, CUT if end else 0)
        else:
            self.client.write(self.error(end))
            self.backend.write(wire.query("ROLLBACK"))
            self.expect("Q", flags=ONLY_READY)
        self.tx = None

    # From PostgreSQL

    def from_backend(self, data):
        self.outbox += data
        self.answer()

    def answer(self):
        if self.paused:
            return
        box, out = self.outbox, []
        at, start, end = 0, 0, len(box)
        while end - at >= 5 and not self.paused:
            length = 1 + wire.LENGTH.unpack_from(box, at + 1)[0]
            if at + length > end:
                break
            kind = box[at]
            if kind in b"Dd":           # rows: by far the most
                if not self.mute:
                    at += length
                    continue
                instead = b""
            else:
                instead = self.replace(kind, box, at, length)
            if instead is not None:
                out.append(bytes(box[start:at]))
                out.append(instead)
                start = at + length
            at += length
        out.append(bytes(box[start:at]))
        del box[:at]

        if self.held in (self.end_implicit, self.end_wrapped):
            self.delayed += out
        elif not self.client.is_closing():
            self.client.write(b"".join(out))
        if self.held and not self.items and not self.paused \
                and self.release():
            self.pump()

    def replace(self, kind, box, at, length):
        """None to forward a message as it is, or what is sent instead."""
        handler = self.ANSWERS.get(kind)
        instead = None
        if handler:
            instead = handler(self, box, at, length)
        if self.mute and kind != ord("Z"):
            return instead if instead and kind == ord("C") else b""
        return instead

    def on_done(self, box, at, length):
        """1, 2, 3: Parse, Bind or Close has been done."""
        if self.items:
            return b"" if self.items.pop(0).flags & SWALLOW else None
        return None

    def on_described(self, box, at, length):
        """T or n"""
        if self.items and self.items[0].kind == "D":
            item = self.items.pop(0)
            if item.verdict.job and box[at:at + 1] == b"n":
                return wire.row_description("job_id")
        return None

    def on_complete(self, box, at, length):
        """C, I, s"""
        if not self.items:
            return None
        item = self.items[0]
        if item.kind == "E":
            self.items.pop(0)
        if item.flags & (SWALLOW | ONLY_READY):
            return b""
        if item.flags & CUT and item.kind == "E":
            self.close("eof after")
            return b""
        if self.mute or box[at:at + 1] != b"C":
            return None
        return self.completed(item, bytes(box[at + 5:at + length - 1]))

    def completed(self, item, tag):
        words = tag.split(b" ")
        if item.tx and words[0] in (b"INSERT", b"UPDATE", b"DELETE"):
            item.tx.rows += int(words[-1])
            if item.tx.rows > self.state.max_rows:
                item.tx.exceeded = True
                self.mute = True
                return self.error(rules.ROWS, item.verdict.sql)
        if item.verdict.kind == DDL:
            self.state.catalog += 1
            self.catalog = self.state.catalog
            if item.tx:
                item.tx.catalog = self.catalog
        if item.verdict.job:
            return self.begin_job(item, tag.decode())
        if item.verdict.tag:
            return wire.complete(item.verdict.tag)
        return None

    def begin_job(self, item, tag):
        kind, name = item.verdict.job
        answer = wire.row_description("job_id") if item.kind == "Q" else b""
        if not item.exists:
            job_id = new_job_id()
            self.jobs.append((job_id, kind, name))
            answer += wire.row(job_id)
        return answer + wire.complete(tag)

    def on_notice(self, box, at, length):
        """"already exists, skipping": no job is begun"""
        if self.items and b"C42P07\0" in box[at:at + length]:
            for item in self.items:
                if item.verdict.job:
                    item.exists = True
                    break
        return None

    def on_error(self, box, at, length):
        item = self.items[0] if self.items else None
        body = bytes(box[at + 5:at + length])
        if item is not None and not item.flags & SWALLOW and not self.mute:
            collided = conflict.of(item, body)
            if collided and conflict.play_on(self, item):
                return b""
        if item is not None and item.kind != "Q":
            self.skip_to_sync()
        if item is not None and item.tx:
            item.tx.failed = True
        if self.mute or item is not None and item.flags & SWALLOW \
                and not (item.kind in "PB" and item.tx and item.tx.doomed):
            return b""
        return self.translated(item, body)

    def skip_to_sync(self):
        while self.items and self.items[0].kind != "S":
            self.items.pop(0)
        if not self.items:
            self.skip = True

    def translated(self, item, body):
        sql = item.verdict.sql if item else ""
        refusal = REFUSALS.find(body)
        if refusal:
            return self.error(refusal, sql)
        fields = wire.error_fields(body)
        code = fields.get("C")
        if conflict.of(item, body) or item and item.tx and item.tx.doomed:
            return self.error(rules.CONFLICT, sql)
        if code == "55P03":             # a table that DDL has locked
            return self.error(rules.STALE, sql)
        if code == "23514" and fields.get("n", "").startswith("dsql_size_"):
            return self.error(rules.ROW if fields["n"] == "dsql_size_row"
                              else rules.COLUMN, sql)
        self.state.note(code, fields.get("M"), sql)
        return None

    def on_ready(self, box, at, length):
        item = self.items.pop(0) if self.items else Item("S")
        status = box[at + 5:at + 6]
        self.mute = self.mute and bool(item.flags & HOLD_READY)

        if not any(other.kind in "SQ" for other in self.items):
            self.settle(status)
        if item.flags & (SWALLOW | HOLD_READY):
            return b""
        if item.flags & CUT:
            self.close("eof after")
            return b""
        if status == b"T" and self.tx and self.tx.exceeded \
                and not self.tx.failed:
            self.tx.failed = True
            self.backend.write(wire.query(REFUSALS.sql(rules.ROWS)))
            self.expect("Q", flags=SWALLOW)
            return wire.message(b"Z", b"E")
        if status == b"I" and self.jobs:
            self.paused = True
            self.loop.create_task(self.submit_jobs())
            return b""
        return None

    def settle(self, status):
        """The state of the transaction, as PostgreSQL sees it."""
        if self.held:
            return
        if status == b"I":
            self.tx = None
        elif self.tx is None:
            self.tx = rules.Transaction(True, self.state.catalog)
        if status == b"E":
            self.tx.failed = True
            self.jobs.clear()

    async def submit_jobs(self):
        jobs, self.jobs = self.jobs, []
        for job_id, kind, name in jobs:
            await self.server.jobs.submit(job_id, kind, name)
        self.paused = False
        if self.client.is_closing():
            return
        self.client.write(wire.message(b"Z", b"I"))
        self.answer()
        self.pump()

    def on_parameter(self, box, at, length):
        if box[at + 5:at + length].startswith(b"server_version\0"):
            return wire.message(b"S", b"server_version\00016.15\0")
        return None

    ANSWERS = {
        ord("1"): on_done, ord("2"): on_done, ord("3"): on_done,
        ord("T"): on_described, ord("n"): on_described,
        ord("C"): on_complete, ord("I"): on_complete, ord("s"): on_complete,
        ord("N"): on_notice, ord("E"): on_error, ord("Z"): on_ready,
        ord("S"): on_parameter,
    }
