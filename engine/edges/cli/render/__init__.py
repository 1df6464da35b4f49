"""JSON views as text for terminals: pure functions from a view to something Rich prints."""
