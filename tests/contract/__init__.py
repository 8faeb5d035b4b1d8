"""The contract, held to its word: examples of every message, tables, names, secrets."""
