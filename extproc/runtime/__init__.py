"""The process model: one process or a supervisor with workers, and how they start, reload and
drain.
"""
