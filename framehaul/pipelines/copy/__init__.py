"""Bytes in, bytes out: for tests and dry runs of the whole path."""
