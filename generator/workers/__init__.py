"""Whatever owns a card: a process of its own that takes drawings and yields events. Knows no jobs and no people."""
