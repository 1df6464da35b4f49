"""Systems that behave like the real ones, for rehearsals, the demo and the tests."""
