"""The error pages, as production shows them."""

import pytest
from django.http import HttpResponseBadRequest
from django.template.loader import get_template
from django.test import RequestFactory
from django.views.defaults import bad_request, server_error


@pytest.fixture
def rf():
    return RequestFactory()


def test_a_server_error_needs_no_database_and_no_manifest(rf, settings):
    manifest = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": manifest}  # and no manifest was ever made
    answer = server_error(rf.get("/"))
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.content.decode()
    assert '"/static/gas/gas.css"' in answer.content.decode()


def test_a_bad_request_shows_nobody_as_signed_out(rf):
    answer = bad_request(rf.get("/"), HttpResponseBadRequest())
    assert "The request is not understood" in answer.content.decode()
    assert "Sign in" not in answer.content.decode()


def test_a_page_that_is_not_there(client, settings, db):
    settings.DEBUG = False
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()
    assert "Sign in" in answer.content.decode()


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "429", "500", "503"])
def test_no_error_page_has_inline_code(name):
    page = get_template(f"{name}.html").render()
    assert "<style" not in page
    assert " style=" not in page
    assert "<script>" not in page
