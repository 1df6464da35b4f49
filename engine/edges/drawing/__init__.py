"""Pictures without a library: SVG made of a few shapes."""
