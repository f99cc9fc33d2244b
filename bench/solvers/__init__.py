"""One solver a file.

NAME; VERSION (None: not installed); ``why_not(case)``, None or the reason why the case is not for this solver; and
``ways(case)``, how it can be done, of which the fastest counts. Files that start with an underscore are shared code.
"""
