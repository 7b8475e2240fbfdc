"""The HTTP filters in front of an application, a module a filter; `chain` puts them in order."""
