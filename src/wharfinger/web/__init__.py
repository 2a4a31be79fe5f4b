"""The HTTP interface itself: request value in, answer value out. It knows no framework.

A shell makes a `RequestHead`, asks `WebInterface.exchange` for an `Exchange`, feeds it the
body if it wants one, and sends the `Answer`. Nothing else: status, headers, permission and
every rule of HTTP are decided here and in `protocol`, so that three shells give one answer.
"""

from wharfinger.web.answers import Answer, FileBody
from wharfinger.web.exchange import Exchange, Promised, WebInterface
from wharfinger.web.requests import RequestHead

__all__ = ["Answer", "Exchange", "FileBody", "Promised", "RequestHead", "WebInterface"]
