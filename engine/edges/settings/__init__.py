"""Sections of the configuration, one module a word; `engine/edges/config.py` puts them together."""
