"""What an account uses of its plan, as the profile shows it."""

import re

from django.template import Context, Template

from accounts.models import Plan, User
from conftest import VCF
from jobs.models import Job
from jobs.models.job import Result

RESULT = Result("r/1", 2048, "a" * 64, "r/1.tbi", "l/1", 1024, "b" * 64, {"records": 3})


def shown(user) -> dict[str, str]:
    """The terms and what stands beside them."""
    html = Template("{% load usage %}{% usage user %}").render(Context({"user": User.objects.get(pk=user.pk)}))
    facts = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html)
    return {term: value.replace("\xa0", " ") for term, value in facts}


def test_of_nothing(researcher):
    assert shown(researcher) == {
        "Jobs this month": "0",
        "Waiting or running": "0 of 20 at a time",
        "Jobs kept": "none",
        "Files stored": "uploaded 0 bytes, results and logs 0 bytes",
    }


def test_of_some(researcher, outsider, make_job):
    Plan.objects.update(monthly_jobs=1500)
    completed, running, _, deleted, _ = [make_job(user) for user in [researcher] * 4 + [outsider]]
    assert completed.claim("w")
    assert completed.complete(RESULT)
    assert running.claim("w")
    assert deleted.delete_soon()
    assert shown(researcher) == {
        "Jobs this month": "4 of 1,500",
        "Waiting or running": "2 of 20 at a time",
        "Jobs kept": "Pending 1, Running 1, Completed 1",
        "Files stored": f"uploaded {3 * len(VCF)} bytes, results and logs 3.0 KB",
    }


def test_without_limits(premium, make_job):
    Plan.objects.update(concurrent_jobs=None)
    make_job(premium)
    assert shown(premium)["Waiting or running"] == "1"


def test_what_is_archived_is_told_apart(researcher, make_job):
    for status in ("HOT", "ARCHIVED"):
        job = make_job(researcher)
        assert job.claim("w")
        assert job.complete(RESULT)
        archived = {"vault": "local", "archive_id": job.pk.hex, "next_action_at": None}
        if status == "ARCHIVED":
            type(job.archive).objects.filter(job=job).update(status=status, **archived)
    assert shown(researcher)["Files stored"].endswith("results and logs 4.0 KB, archived 2.0 KB")


def test_it_costs_two_queries_whatever_there_is(researcher, make_job, django_assert_num_queries):
    template, user = Template("{% load usage %}{% usage user %}"), User.objects.get(pk=researcher.pk)
    assert user.plan
    for _ in range(2):
        with django_assert_num_queries(2):
            template.render(Context({"user": user}))
        make_job(researcher)
    assert Job.objects.exists()
