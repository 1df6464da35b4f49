"""The HTTP API and its authentication."""
