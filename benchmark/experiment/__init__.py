"""What to run: the YAML border, the matrix, run specifications and the plan."""
