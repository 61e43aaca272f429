"""What Aurora DSQL asks of a transaction, beside its SQL."""

import time

from .dialect import BEGIN, DDL, READ, WRITE

CONFLICT = ("40001", "change conflicts with another transaction (OC000)")
STALE = ("40001", "schema has been updated by another transaction (OC001)")
MANY_DDL = ("0A000", "multiple ddl statements not supported in a transaction")
MIXED = ("0A000", "ddl and dml are not supported in the same transaction")
ROWS = ("54000", "transaction row limit exceeded")
COLUMN = ("54000",
          "datatype limit greater than 1048576 bytes not supported for text")
ROW = ("54000", "maximum row size exceeded")

UNKNOWN_ROWS = 1 << 30


class Transaction:
    __slots__ = ("explicit", "ddl", "dml", "rows", "most", "size", "since",
                 "exceeded", "failed", "doomed", "statements", "catalog")

    def __init__(self, explicit, catalog):
        self.explicit = explicit
        self.ddl = 0
        self.dml = 0
        self.rows = 0           # changed, as PostgreSQL has told
        self.most = 0           # may be changed, by the statements' texts
        self.size = 0           # bytes of parameters of statements that write
        self.since = time.monotonic()
        self.exceeded = False   # too many rows: an error was told
        self.failed = False     # PostgreSQL waits for ROLLBACK
        self.doomed = None      # how its COMMIT will end
        self.statements = 0
        self.catalog = catalog  # as it was at the first statement

    def add(self, verdict, size):
        """A statement is about to be run: None, or why not."""
        if verdict.kind == DDL:
            if self.dml:
                return MIXED
            if self.ddl:
                return MANY_DDL
            self.ddl += 1
        elif verdict.kind == WRITE:
            if self.ddl:
                return MIXED
            self.dml += 1
            self.size += size
            self.most += UNKNOWN_ROWS if verdict.rows is None else verdict.rows
        if verdict.kind != BEGIN:
            self.statements += 1
        return None

    def writes(self):
        return self.dml or self.ddl

    def may_stop(self, state):
        """Is there anything to decide when it is to be committed?"""
        return (self.ddl or self.most > state.max_rows
                or self.size > state.max_bytes or state.oc000_every
                or state.eof_before_commit or state.eof_after_commit
                or state.eof_every
                or self.catalog != state.catalog)

    def end(self, state):
        """None if it may be committed, or (code, words[, detail]), or eof."""
        if self.doomed:
            return self.doomed
        if self.statements and state.stale and not self.ddl \
                and self.catalog != state.catalog:
            return STALE
        age = time.monotonic() - self.since
        if age > state.max_age:
            return ("54000", "transaction age limit of 300s exceeded",
                    f"Current transaction age {int(age)}s exceeds 300s")
        if not self.writes():
            return None
        if self.size > state.max_bytes:
            return ("54000", "transaction size limit 10mb exceeded",
                    f"Current transaction size {self.size >> 20}mb > 10mb")
        return self.injected(state)

    def injected(self, state):
        state.commits += 1
        if state.oc000_every and state.commits % state.oc000_every == 0:
            return CONFLICT
        if state.eof_every and state.commits % state.eof_every == 0:
            odd = state.commits // state.eof_every % 2
            return "eof before" if odd else "eof after"
        if state.eof_before_commit:
            state.eof_before_commit -= 1
            return "eof before"
        if state.eof_after_commit:
            state.eof_after_commit -= 1
            return "eof after"
        return None


def checks_catalog(verdict):
    return verdict.kind in (READ, WRITE, DDL)
