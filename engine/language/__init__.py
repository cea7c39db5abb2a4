"""How rules say what they mean: expressions, functions, operators, patterns, templates, conditions."""
