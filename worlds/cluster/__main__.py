"""`python -m worlds.cluster`: the in-memory cluster as a process of its own."""

from worlds.cluster.process import main

main()
