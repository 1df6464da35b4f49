"""What one journal entry does to a run's progress, by what the entry is about."""
