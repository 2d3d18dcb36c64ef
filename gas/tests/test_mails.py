"""The page that shows the mails of the embedded default."""

from django.core.mail import EmailMultiAlternatives
from django.urls import reverse


def test_mails_are_shown_newest_first_and_escaped(client, settings):
    settings.DEBUG = True
    settings.EMAIL_BACKEND = "gas.mail.FolderEmailBackend"
    for n in (1, 2):
        mail = EmailMultiAlternatives(f"Subject {n}", f"<b>text {n}</b>", to=["ada@example.org"])
        mail.attach_alternative("<p>html</p>", "text/html")
        assert mail.send() == 1
    page = client.get(reverse("mails")).content.decode()
    assert page.index("Subject 2") < page.index("Subject 1")
    assert "&lt;b&gt;text 1&lt;/b&gt;" in page
    assert "ada@example.org" in page
    folder = settings.EMAIL_FILE_PATH
    assert str(folder) in page
    assert (folder.stat().st_mode & 0o777, len(list(folder.glob("*.eml")))) == (0o700, 2)


def test_there_is_no_such_page_in_production(client, settings):
    settings.DEBUG = False
    assert client.get(reverse("mails")).status_code == 404
