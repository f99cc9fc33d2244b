"""One problem a file: NAME, DESCRIPTION, TARGETS (the ratio to reach, by peer) and ``make(scale)``."""
