"""Sessions in a SQLite file, which several processes of one machine may share."""
