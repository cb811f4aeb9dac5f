"""Makes a project in the database of Bugsink and prints its number and its key."""

import django

django.setup()

from projects.models import Project  # noqa: E402  (only after the setup)

project = Project.objects.create(name="guardhouse")
print(project.id, project.sentry_key.hex)
