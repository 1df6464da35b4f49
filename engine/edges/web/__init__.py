"""The web door: API, health, metrics, and the alert intake mounted into it."""
