"""Pages for people: read at three in the morning, on any screen, without scripts."""
