"""Where connections may go, and the connection that goes nowhere else.

Used by the client and by whatever else reaches out. It knows addresses, sockets
and HTTP/1.1 framing; it knows no files and no policy.
"""
