"""The half of a Session that PostgreSQL speaks to: what it says is forwarded,
but for what a client of Aurora DSQL would not hear, or hear otherwise.
"""

from . import conflict, rules, wire
from .backend import new_job_id
from .dialect import DDL
from .items import CUT, HOLD_READY, ONLY_READY, REFUSALS, SWALLOW, Item


class Answers:
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
