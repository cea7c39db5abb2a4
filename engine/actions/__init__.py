"""What rules do: one file an action."""
