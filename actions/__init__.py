"""The plugins: one folder a system. They import `engine.contract`, `engine.domain` and their client library only."""
