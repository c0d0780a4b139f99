"""The JSON API that outsiders rely on."""
