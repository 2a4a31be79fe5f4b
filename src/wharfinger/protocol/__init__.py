"""HTTP as values: bytes and values in, values out. No socket, file, framework, thread or clock.

Each module is one idea of a standard; "now" is always an argument.
"""
