"""From accepted alerts to decisions, episodes, incidents and runs."""
