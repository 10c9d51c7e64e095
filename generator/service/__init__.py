"""The generator as a service: the HTTP API, the jobs and their turns, the pictures on disk. Never imports torch."""
