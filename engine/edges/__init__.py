"""Where the outside meets the engine: intake, web, CLI, configuration, wiring."""
