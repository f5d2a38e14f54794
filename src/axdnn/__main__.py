"""`python -m axdnn`, the same as the command `axdnn`."""

from axdnn.cli.main import main

main()
