"""`python -m wattcast` is `wattcast`."""

from wattcast.cli import main

main()
