"""The life of an attempt: bring its inputs, compute, deliver; and who goes first."""
