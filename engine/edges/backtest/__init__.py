"""Backtests: where the past comes from, and one question answered."""
