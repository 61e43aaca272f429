"""Two transactions that write the same row.

PostgreSQL stops the second one at its statement; Aurora DSQL lets it go on, and
refuses its COMMIT.  So a transaction that has lost is played on: PostgreSQL's
is rolled back, a new one is begun in its place, and its COMMIT will be refused
whatever it does.  The statement that was stopped is answered as if it had found
what is there without the other's changes: SELECT … FOR UPDATE by running it
without FOR UPDATE, a write by saying that it changed a row.  What cannot be
answered so, such as RETURNING while the other is still open, is refused at once
in the words of a COMMIT.  Later writes are not done either: they would stop
others for nothing.
"""

from . import rules, wire
from .dialect import OTHER, WRITE, Verdict
from .items import SWALLOW

CODES = (b"C40001\0", b"C40P01\0", b"C55P03\0")


TAGS = {}
for verb, tag in (("INSERT", "INSERT 0 1"), ("UPDATE", "UPDATE 1"),
                  ("DELETE", "DELETE 1")):
    TAGS[verb] = Verdict(OTHER, "")
    TAGS[verb].tag = tag


def of(item, body):
    """Is that error a collision?  Reads wait for nobody's rows."""
    return (item is not None
            and (item.verdict.kind == WRITE or item.verdict.locks)
            and any(code in body for code in CODES))


def rest_of(session):
    """Of the pipeline: what follows, and whether its Sync has been sent; None
    if even more has been."""
    kinds = [item.kind for item in session.items]
    if "S" not in kinds:
        return session.items[1:], False
    if kinds.index("S") != len(kinds) - 1:
        return None, True
    return session.items[1:-1], True


def bound_to_unnamed(portal):
    """The Bind, to the statement without a name."""
    name, at = wire.cut(portal.raw, 5)
    _, at = wire.cut(portal.raw, at)
    return wire.message(b"B", name + b"\0\0" + portal.raw[at:])


def play_on(session, item):
    """False if the error has to be told."""
    rest, synced = rest_of(session)
    tx = item.tx
    if rest is None or item.kind != "E" or not tx or not tx.explicit \
            or tx.doomed:
        return False

    tx.doomed = rules.CONFLICT
    session.state.counts["doomed"] += 1
    session.items.clear()
    out = [] if synced else [wire.SYNC]
    session.expect("S", flags=SWALLOW)
    for sql in ("ROLLBACK", "BEGIN"):
        out.append(wire.query(sql))
        session.expect("Q", flags=SWALLOW)

    answer(session, item, out)
    for later in rest:
        if later.kind == "E" and is_plain_write(later.verdict):
            pretend(session, later.verdict, out)
        else:
            out.append(later.raw)
            session.items.append(later)
    if synced:
        out.append(wire.SYNC)
        session.expect("S")
    else:
        out.append(wire.FLUSH)
    session.backend.write(b"".join(out))
    return True


def is_plain_write(verdict):
    return verdict.kind == WRITE and not verdict.returns \
        and verdict.sql[:6].upper() in TAGS


def pretend(session, verdict, out):
    """A write that is not done, so that it locks nothing."""
    out.append(wire.run_unnamed("SELECT WHERE false"))
    for kind in "PB":
        session.expect(kind, flags=SWALLOW)
    session.expect("E", TAGS[verdict.sql[:6].upper()])


def answer(session, item, out):
    verdict = item.verdict
    if is_plain_write(verdict):
        pretend(session, verdict, out)
        return

    # a query of the simple protocol forgets the statement without a name
    out.append(wire.parse(b"", verdict.unlocked or verdict.sql,
                          item.portal.types))
    out.append(bound_to_unnamed(item.portal))
    for kind in "PB":
        session.expect(kind, flags=SWALLOW)
    out.append(item.raw)
    session.items.append(item)
