"""What tests see and set of the peer; main.py tells what it means."""

import collections


class State:
    SETTABLE = {
        "oc000_every": int, "oc001_next": int, "stale": bool,
        "eof_every": int,
        "eof_before_commit": int, "eof_after_commit": int,
        "refuse": dict, "close_after": float, "freeze": bool,
        "job_delay": float, "job_fails": bool, "skew": float,
        "keys": dict, "max_rows": int, "max_bytes": int, "max_age": float,
        "max_message": int, "lifetime": float, "delay": float,
    }

    def __init__(self):
        self.oc000_every = 0
        self.oc001_next = 0
        self.stale = True
        self.eof_every = 0
        self.eof_before_commit = 0
        self.eof_after_commit = 0
        self.refuse = {}
        self.close_after = 0
        self.freeze = False
        self.job_delay = 0.3
        self.job_fails = False
        self.skew = 0
        self.delay = 0
        self.keys = {}
        self.max_rows = 3000
        self.max_bytes = 10 * 1024 * 1024
        self.max_age = 300
        self.max_message = 10 * 1024 * 1024
        self.lifetime = 3600

        self.port = 0
        self.host = ""
        self.ca = ""
        self.catalog = 0                # raised by each DDL
        self.commits = 0
        self.counts = collections.Counter()
        self.refusals = []              # [code, words, sql], the last 100
        self.sessions = set()

    def note(self, code, words, sql):
        self.counts[code] += 1
        self.refusals.append([code, words, sql[:500]])
        del self.refusals[:-100]

    def change(self, wanted):
        for name, value in wanted.items():
            if name == "drop":
                for session in list(self.sessions):
                    session.close("dropped")
            elif name == "clear":
                self.counts.clear()
                self.refusals.clear()
            elif name in self.SETTABLE:
                setattr(self, name, self.SETTABLE[name](value))
                if name in ("oc000_every", "eof_every"):
                    self.commits = 0
            else:
                raise ValueError(f"unknown: {name}")
        for session in list(self.sessions):
            session.settings_changed()

    def shown(self):
        found = {name: getattr(self, name) for name in self.SETTABLE}
        found.update(port=self.port, host=self.host, ca=self.ca,
                     counts=self.counts, refusals=self.refusals,
                     sessions=len(self.sessions), commits=self.commits)
        return found
