"""One problem a file: NAME, DESCRIPTION and ``make(scale)``, which raises FileNotFoundError where data are missing.

REMARK, where there is one, says why a peer is ahead; PATIENCE, by what to multiply the time that a search may take.
"""
