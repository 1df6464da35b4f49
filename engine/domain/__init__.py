"""The words: alert, incident, run, plan, clock, errors. Imports the standard library and pydantic only."""
