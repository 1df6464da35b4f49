"""The postmortem of an incident: what the journal knows, and what people make of it."""
