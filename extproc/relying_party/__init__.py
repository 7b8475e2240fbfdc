"""Carries out the steps that the core decided on: login, refresh, logout, a user's own sessions."""
