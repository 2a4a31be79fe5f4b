"""Upload a profile picture: judged first, and an answer instead of an exception.

python examples/profile_picture.py 12345 http://127.0.0.1:8000/post me.jpg other.png
"""

import sys

from wharfinger import ProfilePictureUploader

user_id, url, *pictures = sys.argv[1:]

uploader = ProfilePictureUploader(user_id, url=url, allow_private=True)
failed = 0
for picture in pictures:
    success, message, hosted_at = uploader.upload_profile_picture(picture)
    print("ok:" if success else "refused:", message, hosted_at or "")
    failed += not success

sys.exit(1 if failed else 0)
