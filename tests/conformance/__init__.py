"""Suites that every member of a family passes; a newcomer joins with one table row."""
