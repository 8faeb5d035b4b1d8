"""A short clip of our own, and the program that paints it."""
