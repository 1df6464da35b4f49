"""Slack: messages as Block Kit, its Web API, its signed requests and its Socket Mode."""
