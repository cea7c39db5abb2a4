"""Where the outside is reached: protocols first, implementations after."""
