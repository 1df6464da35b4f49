"""From alert to decision to incident: triage, episodes, lifecycle."""
