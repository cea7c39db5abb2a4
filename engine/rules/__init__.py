"""From the text of rules files to a Program; nothing here awaits, and nothing here knows a connection."""
