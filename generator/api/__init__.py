"""The contract: what crosses the socket, its limits, and the sentences that refuse a request. Never imports torch."""
