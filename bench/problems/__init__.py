"""One problem a file: NAME, DESCRIPTION, TARGETS (what to reach) and ``make(scale)``.

TARGETS has the ratio to reach, by peer, and may have the share of "read bandwidth".
"""
