"""`python -m wattcast.cli` is `wattcast`."""

from wattcast.cli import main

main()
