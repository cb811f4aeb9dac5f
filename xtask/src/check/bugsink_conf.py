"""How `cargo xtask check bugsink` has Bugsink run: strict, in one folder, and talking to nobody."""

import os

from bugsink.settings.default import *  # noqa: F401,F403

FOLDER = os.environ["GUARDHOUSE_CHECK_FOLDER"]

SECRET_KEY = "of a server that lives for a minute and listens on this computer only"
DATABASES["default"]["NAME"] = os.path.join(FOLDER, "db.sqlite3")  # noqa: F405
DATABASES["snappea"]["NAME"] = os.path.join(FOLDER, "snappea.sqlite3")  # noqa: F405
# What comes in is validated and stored before it is answered.
SNAPPEA = {"TASK_ALWAYS_EAGER": True}
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
BUGSINK = {
    "BASE_URL": "http://127.0.0.1",
    "INGEST_STORE_BASE_DIR": os.path.join(FOLDER, "ingest"),
    "PHONEHOME": False,
    "VALIDATE_ON_DIGEST": "strict",
}
