"""The bot's side of the generator's HTTP API. Imports nothing of the generator itself."""
