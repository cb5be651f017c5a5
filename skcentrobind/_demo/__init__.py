"""The demo of the command line: emojis, found by their names and compared across methods."""
