"""Send a file together with form fields, and say what is wrong if it does not work.

python examples/upload_with_fields.py report.pdf http://127.0.0.1:8000/post
"""

import json
import sys

import wharfinger
from wharfinger import Policy, Rejected, WharfingerError

path, url = sys.argv[1:]

try:
    reply = wharfinger.upload(
        path,
        url,
        field="document",
        # A request has one body. What you would have put into json= goes into a field.
        fields={"user_id": "12345", "tags": json.dumps(["invoice", "2026"])},
        policy=Policy.documents(max_size="10 MiB"),  # applied before a connection is made
        timeout=30,
        allow_private=True,
    )
except Rejected as error:
    sys.exit(f"not sent: {error} {error.hint}")
except WharfingerError as error:
    sys.exit(f"failed: {error} {error.hint}")

print("sent", path, "with", ", ".join(reply.json()["form"]))
