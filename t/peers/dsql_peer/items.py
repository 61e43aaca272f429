"""What is on its way to PostgreSQL, and how a refusal travels there."""

import re

from .dialect import COMMIT, OTHER, Verdict

# Of the answer, the client gets: nothing; all but "ready"; "ready" only; the
# end of its connection.
SWALLOW, HOLD_READY, ONLY_READY, CUT = 1, 2, 4, 8

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
