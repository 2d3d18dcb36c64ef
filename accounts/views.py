"""The pages of sign-in and profile."""

import time
from functools import wraps
from urllib.parse import urlencode

from allauth.account.views import ConfirmEmailView
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from social_django import views as social
from social_django.models import UserSocialAuth

from accounts.addresses import ask_for_confirmation
from accounts.forms import MailsForm, ProfileForm
from accounts.models import Profile, User
from accounts.sessions import end_sessions, in_words, sessions_of
from accounts.sign_out import sign_out
from accounts.step_up import STARTED, P, View, is_fresh, to_step_up


def next_page(request: HttpRequest) -> str:
    """Where the person was heading, when that is a page of this site; else the home page."""
    heading = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(heading, {request.get_host()}, require_https=request.is_secure())
    return heading if safe else reverse("home")


def signed_in(request: HttpRequest) -> User:
    """The user of a view behind login_required."""
    assert isinstance(request.user, User)
    return request.user


def researchers_only(view: View[P]) -> View[P]:
    """Of a signed-in researcher: staff have no plan, tokens or data of their own, and to them the page is not there."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if signed_in(request).is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


def posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


@never_cache
@require_safe
def login(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return HttpResponseRedirect(next_page(request))
    return render(request, "accounts/login.html", {"next": next_page(request)})


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(sign_out(request))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def step_up(request: HttpRequest) -> HttpResponse:
    heading = next_page(request)
    if signed_in(request).is_staff:
        return HttpResponseRedirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': heading})}")
    if request.method == "POST":
        request.session[STARTED] = time.time()
        begun: HttpResponse = social.auth(request, "globus")
        return begun
    return render(request, "accounts/step_up.html", {"next": heading})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    if user.is_staff:
        return staff_profile(request)
    profile = getattr(user, "profile", None) or Profile(user=user)
    is_first_visit = profile.completed_at is None
    form = ProfileForm(posted(request), profile)
    if form.is_valid():
        if form.needs_step_up and not is_fresh(request):
            return to_step_up(reverse("profile"))
        form.keep(request)
        messages.success(request, "Your profile is saved.")
        return HttpResponseRedirect(next_page(request) if is_first_visit else reverse("profile"))
    context = {
        "form": form,
        "mails_form": MailsForm(None, profile),
        "profile": profile,
        "is_first_visit": is_first_visit,
        "identity": UserSocialAuth.objects.filter(user=user, provider="globus").first(),
        "next": next_page(request),
    }
    return render(request, "accounts/profile.html", context)


@require_safe
def staff_profile(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/staff_profile.html")


@login_required
@require_POST
def mail_preferences(request: HttpRequest) -> HttpResponse:
    form = MailsForm(request.POST, get_object_or_404(Profile, user=signed_in(request)))
    if form.is_valid():
        form.keep()
        messages.success(request, "Your choice of mails is saved.")
    return redirect("profile")


@login_required
@require_POST
def send_link_again(request: HttpRequest) -> HttpResponse:
    """The link that confirms an address, to the one that waits for it."""
    user = signed_in(request)
    if user.pending_address:
        ask_for_confirmation(request, user, user.pending_address)
    return HttpResponseRedirect(next_page(request))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """Where the person is signed in; POST ends `end`, one of the other sessions or "others"."""
    user = signed_in(request)
    if user.is_staff:
        return redirect("usersessions_list")
    found = [(session, in_words(session.user_agent)) for session in sessions_of(user)]
    others = [session for session, _ in found if session.session_key != request.session.session_key]
    if request.method != "POST":
        return render(request, "accounts/sessions.html", {"sessions": found, "others": others})
    if not is_fresh(request):
        return to_step_up(request.path)
    wanted = request.POST.get("end")
    chosen = [session for session in others if wanted in ("others", str(session.pk))]
    if not chosen and wanted != "others":
        raise Http404
    end_sessions(user, chosen)
    messages.success(request, f"Sessions ended: {len(chosen)}.")
    return redirect("sessions")


class ConfirmEmail(ConfirmEmailView):  # type: ignore[misc]  # allauth has no types
    """allauth's page; but a GET changes nothing, so a link from somebody else's mail signs nobody out."""

    def logout_other_user(self, confirmation: object) -> None:
        pass
