"""`python -m engine.edges.cli`: the `stanch` command of this very Python."""

from engine.edges.cli.main import main

main()
