"""Several machines: their cards draw for this one, with Ray between them. Only `driver`, `join` and `node` know Ray."""
