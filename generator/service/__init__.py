"""The generator as a service: the HTTP API, the jobs and their fair queue. Never imports torch."""
