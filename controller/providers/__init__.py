"""Clouds: one file each, loaded by the name in config.yaml."""
