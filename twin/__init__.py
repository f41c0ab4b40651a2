"""Understudy's twin: the domain without I/O. Everything imports it; it imports none of the other packages."""
