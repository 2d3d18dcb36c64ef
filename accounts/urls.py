from typing import Any

from allauth.decorators import rate_limit
from django.contrib.auth.decorators import login_required
from django.urls import include, path, re_path
from social_django import views as social

from accounts import billing_views, erasure_views, staff_pages, token_views, views


def rarely(view: Any) -> Any:
    """Of a page whose form sends mail: rate-limited for each account, and so only for who is signed in."""
    return login_required(rate_limit(action="manage_email")(view))


# two of social_django's six routes: no disconnect, no launch bridges
social_urls = [
    path("login/<str:backend>/", rate_limit(action="globus_begin")(social.auth), name="begin"),
    path("complete/<str:backend>/", social.complete, name="complete"),
]
allauth_pages = [
    re_path(r"^confirm-email/(?P<key>[-:\w]+)/$", views.ConfirmEmail.as_view(), name="account_confirm_email"),
    *staff_pages.urlpatterns,
]

urlpatterns = [
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("step-up/", rate_limit(action="globus_begin")(views.step_up), name="step_up"),
    path("profile/", rarely(views.profile), name="profile"),
    path("profile/mails/", views.mail_preferences, name="mail_preferences"),
    path("profile/confirm/", rarely(views.send_link_again), name="send_link_again"),
    path("profile/sessions/", views.sessions, name="sessions"),
    path("profile/tokens/", token_views.tokens, name="tokens"),
    path("profile/tokens/<int:pk>/revoke/", token_views.revoke_token, name="token_revoke"),
    path("profile/data/", erasure_views.your_data, name="your_data"),
    path("profile/data/download/", erasure_views.export_data, name="export_data"),
    path("profile/erase/", rarely(erasure_views.erase_account), name="erase_account"),
    path("profile/erase/undo/", erasure_views.withdraw_erasure, name="withdraw_erasure"),
    path("subscribe/", billing_views.subscribe, name="subscribe"),
    path("billing/done/", billing_views.payment_done, name="payment_done"),
    path("billing/manage/", billing_views.manage_payment, name="manage_payment"),
    path("billing/webhook/", billing_views.webhook, name="stripe_webhook"),
    path("auth/", include((social_urls, "social"))),
    path("accounts/", include(allauth_pages)),
]
