"""What people read in an incident's channel, made from the journal alone: pure, and the same for every chat."""
