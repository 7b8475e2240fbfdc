"""The command `extproc`. This package alone reads the command line, prints, and chooses exit
codes.
"""
