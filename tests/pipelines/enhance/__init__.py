"""Tests of the enhance pipeline."""
