"""`python -m controller`: the same as `framehaul`."""

from controller.cli import main

main()
