"""Chat: what is said leaves the outbox through here, what people send comes in through here."""
