"""The WSGI application that gunicorn serves: `gunicorn gas.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gas.settings")

application = get_wsgi_application()
