"""The HTTP filters in front of an application, a module for each; `chain` puts them in order."""
