"""Whole flows, through the program that a person types."""
