"""Tests of controller: the laptop's side."""
