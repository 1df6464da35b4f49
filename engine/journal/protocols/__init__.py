"""The repositories of one transaction, as protocols: what each word of the store can be asked."""
