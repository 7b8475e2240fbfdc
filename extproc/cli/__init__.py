"""The command `extproc`. This package alone reads the command line and chooses exit codes; what it
prints goes through cli/output.py (`extproc demo` prints by itself).
"""
