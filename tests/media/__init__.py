"""Tests of framehaul.media, on real files."""
