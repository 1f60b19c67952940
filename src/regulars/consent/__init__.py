"""What we may know and do: purposes, the words shown, the ledger, and the one gate through which facts are used."""
