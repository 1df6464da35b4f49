"""Stanch: alerts in, planned and approved repairs out. Plugin authors rely on `engine.contract` alone."""
