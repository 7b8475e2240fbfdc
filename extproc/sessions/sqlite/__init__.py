"""Sessions in a SQLite file, which the processes of one machine may share."""
