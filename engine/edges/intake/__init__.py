"""Where alerts come in."""
