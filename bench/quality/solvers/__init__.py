"""One solver a file: NAME, ``why_not(task)`` (None: it applies) and ``ways(task)``, the settings to try."""
