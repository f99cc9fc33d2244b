"""One solver a file: NAME, VERSION, ``why_not(case)`` (None: it applies) and ``prepare(case)`` (a run to be timed)."""
