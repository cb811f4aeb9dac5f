"""Prints what Bugsink has stored: one event a line, as JSON."""

import os
import sqlite3

path = os.path.join(os.environ["GUARDHOUSE_CHECK_FOLDER"], "db.sqlite3")
with sqlite3.connect(path) as database:
    for (data,) in database.execute("SELECT data FROM events_event ORDER BY timestamp"):
        print(data)
