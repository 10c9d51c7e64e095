"""Workers: each owns a card, takes drawings and yields events. They know neither jobs nor people."""
