"""The lines of a timeline, by what an entry is about."""
