"""Rules over the past: the live triage over a store in memory and a clock that steps from event to event."""
