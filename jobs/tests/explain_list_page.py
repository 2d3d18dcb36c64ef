# Run by test_on_aws.py in `manage.py shell`, on PostgreSQL: prints the plans of what the list page asks, as JSON.
import json

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from jobs.tests.many_jobs import make_many

owner = User.objects.get()
make_many(owner, 10_000)
make_many(User.objects.create_researcher("other@example.org"), 10_000)
with connection.cursor() as cursor:
    cursor.execute("ANALYZE")
    cursor.execute(
        "SET enable_seqscan = off"
    )  # small tables are read whole otherwise; without an index they are even so
client = Client(headers={"host": "localhost"})
client.force_login(owner)
client.get("/annotate/")
with CaptureQueriesContext(connection) as queries:
    assert client.get("/annotations/?page=3").status_code == 200
plans = []
for query in queries.captured_queries:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + query["sql"])
        plans.append((query["sql"], "\n".join(row[0] for row in cursor.fetchall())))
print(json.dumps(plans))
