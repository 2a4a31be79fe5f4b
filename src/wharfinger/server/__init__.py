"""The stand-alone server: a shell over `web` on aiohttp and the standard event loop.

The standard loop and not uvloop, because only it has sendfile (measured: whole files
and ranges leave the page cache without passing through Python).
"""

from wharfinger.server.settings import ServerSettings, load_settings

__all__ = ["ServerSettings", "load_settings"]
