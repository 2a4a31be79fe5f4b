"""Download a picture from an address that may serve anything.

python examples/safe_download.py https://example.com/photo.jpg photo.jpg
python examples/safe_download.py --private http://127.0.0.1:8000/image/png photo.png
"""

import sys

import wharfinger
from wharfinger.errors import AddressRefused, ContentTypeMismatch, Rejected, WharfingerError

arguments = sys.argv[1:]
private = "--private" in arguments
url, path = (argument for argument in arguments if argument != "--private")

try:
    got = wharfinger.download(
        url,
        path,
        expect="image/*",  # what the head must say and the content must be
        max_size="20 MiB",  # what is longer is cut off, whatever the head says
        allow_private=private,
    )
except ContentTypeMismatch as error:
    sys.exit(f"not an image, nothing was written: {error}")
except Rejected as error:
    sys.exit(f"refused, nothing was kept: {error}")
except AddressRefused as error:
    sys.exit(f"not a public address: {error}")
except WharfingerError as error:  # the network, the server's answer, this machine's disk
    sys.exit(f"did not work: {error} {error.hint}")

print(f"{got.path}: {got.type}, {got.size} bytes, sha256 {got.sha256}")
