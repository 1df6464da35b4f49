"""One desk for every door: what people may ask and do, in JSON, with their roles checked.

The API serves it over HTTP; the CLI uses it directly where no server is configured.
"""
