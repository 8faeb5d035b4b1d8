"""The library that the laptop and the rented machine share."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("framehaul")
except PackageNotFoundError:  # a bare tree, shipped to a rented machine and never installed
    __version__ = "0.0.0+tree"
