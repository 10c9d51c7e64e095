"""The API's contract: its types, its limits, and the sentences that refuse a request. Never imports torch."""
