"""A playbook as a manual, for the night when Stanch is down."""
