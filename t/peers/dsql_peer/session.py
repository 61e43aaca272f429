"""One connection of a client, and its connection to PostgreSQL.

What needs no decision is forwarded as it comes, whole pipelines at once.  What
is refused is replaced by a statement that PostgreSQL refuses at the same place
(Refusals), so that order, skipping and the state of the transaction are its
own.  The end of a transaction that wrote waits until PostgreSQL has answered
what came before: only then can it be decided.
"""

import asyncio

from . import conflict, rules, wire
from .answers import Answers
from .dialect import BEGIN, COMMIT, DDL, ROLLBACK, WRITE, judge
from .items import (COMMITTED, CUT, HOLD_READY, NOTHING, ONLY_READY, REFUSALS,
                    SWALLOW, UNBOUND, Item, Portal)


class BackendSide(asyncio.Protocol):
    def __init__(self, session):
        self.session = session

    def data_received(self, data):
        self.session.from_backend(data)

    def connection_lost(self, _):
        self.session.backend_lost()


class Session(Answers):
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
