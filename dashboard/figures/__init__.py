"""Figures as plain dicts: facts in, ``{"data": …, "layout": …}`` out; no server, no service, units on every axis."""
