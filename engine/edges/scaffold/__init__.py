"""New projects and new files: small, commented, and valid as they are written."""
