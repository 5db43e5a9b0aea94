"""Hostile input for everything of the worker that reads bytes somebody else wrote."""
