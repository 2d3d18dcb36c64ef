"""The site's addresses."""

from django.contrib import admin
from django.urls import include, path

from gas import object_links, views

handler429 = "accounts.security_events.too_many_requests"
urlpatterns = [
    path("", views.home, name="home"),
    path("", include("accounts.urls")),
    path("", include("jobs.urls")),
    path("objects/<str:token>/", object_links.object_link, name="object_link"),
    path("admin/", admin.site.urls),
    path("mails/", views.mails, name="mails"),
]
