"""One problem a file: NAME, DESCRIPTION and ``make(scale)``, which raises FileNotFoundError where data are missing."""
