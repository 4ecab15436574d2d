"""The ctalk envelope and key card, written from docs/ENVELOPE.md alone.

It shares no code with ctalk, so that agreement between the two is evidence about the page and not
about a common library. It is a reference for tests: pure-Python arithmetic leaks secrets through
time, so no program that others can observe should use it.

Section numbers in this package are those of docs/ENVELOPE.md.
"""
