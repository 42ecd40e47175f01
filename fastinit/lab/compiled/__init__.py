"""Compiled functions of the lab."""
