"""A Program over an exchange."""
