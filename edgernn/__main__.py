"""`python -m edgernn`."""

from edgernn.cli.main import main

main()
