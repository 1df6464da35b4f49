"""The YAML that people write: loader, templates, matchers, rules, playbooks, check."""
