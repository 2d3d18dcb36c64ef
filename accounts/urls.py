from allauth.account import urls as allauth_urls
from allauth.decorators import rate_limit
from django.urls import URLPattern, include, path, re_path
from social_django import views as social

from accounts import views

# two of social_django's six routes: no disconnect, no launch bridges
social_urls = [
    path("login/<str:backend>/", rate_limit(action="globus_begin")(social.auth), name="begin"),
    path("complete/<str:backend>/", social.complete, name="complete"),
]
# allauth makes addresses of its pages (signup, password ...), so the names exist; the pages do not
closed = [URLPattern(page.pattern, views.not_found, name=page.name) for page in allauth_urls.urlpatterns]
allauth_pages = [
    re_path(r"^confirm-email/(?P<key>[-:\w]+)/$", views.ConfirmEmail.as_view(), name="account_confirm_email"),
    *closed,
]

urlpatterns = [
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("profile/", rate_limit(action="manage_email")(views.profile), name="profile"),
    path("subscribe/", views.subscribe, name="subscribe"),
    path("auth/", include((social_urls, "social"))),
    path("accounts/", include(allauth_pages)),
]
