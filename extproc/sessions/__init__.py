"""Where sessions are kept: in cookies, memory, SQLite or Redis, behind one protocol
(`interfaces`).
"""
