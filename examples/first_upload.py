"""Send a first file to an echo server and look at what arrived.

    python examples/first_upload.py notes.txt http://127.0.0.1:8000/post

An echo server of your own: `pip install httpbin gunicorn && gunicorn httpbin:app`.
"""

import sys

import wharfinger

path, url = sys.argv[1:]

# allow_private, because this address is your own machine; leave it out for the internet.
reply = wharfinger.upload(path, url, allow_private=True)

print("status:", reply.status)
for field, content in reply.json()["files"].items():
    print(f"{field}: {len(content)} characters came back")
