"""The process model: one process or a supervisor with workers, their settings, and how they reload
and leave.
"""
