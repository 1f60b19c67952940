"""Database tools: compiled queries, encrypted fields, the SQLite backend."""
