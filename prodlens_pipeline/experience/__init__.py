"""What developers say about their work: answers to surveys, imported or given on the command line.

Belongs here: the contract of an answer, landing it, its table, how long it is kept. Does not: traces (`traces/`), what
was delivered (`delivery/`), and what the answers amount to (`analysis/`).
"""
