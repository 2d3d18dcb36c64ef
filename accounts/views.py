"""The pages of sign-in, profile and plan."""

from allauth.account.views import ConfirmEmailView
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from social_django.models import UserSocialAuth

from accounts.forms import ProfileForm, SubscribeForm, pending_address
from accounts.models import Plan, Profile, User
from accounts.plans import change_plan
from accounts.sign_out import sign_out


def next_page(request: HttpRequest) -> str:
    """Where the person was heading, when that is a page of this site; else the home page."""
    heading = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(heading, {request.get_host()}, require_https=request.is_secure())
    return heading if safe else reverse("home")


def signed_in(request: HttpRequest) -> User:
    """The user of a view behind login_required."""
    assert isinstance(request.user, User)
    return request.user


def posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def not_found(_: HttpRequest, **__: str) -> HttpResponse:
    raise Http404


@never_cache
@require_safe
def login(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return HttpResponseRedirect(next_page(request))
    return render(request, "accounts/login.html", {"next": next_page(request)})


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(sign_out(request))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    profile = getattr(user, "profile", None) or Profile(user=user)
    is_first_visit = profile.completed_at is None
    form = ProfileForm(posted(request), profile)
    if form.is_valid():
        form.keep(request)
        messages.success(request, "Your profile is saved.")
        return HttpResponseRedirect(next_page(request) if is_first_visit else reverse("profile"))
    context = {
        "form": form,
        "profile": profile,
        "is_first_visit": is_first_visit,
        "pending_address": pending_address(user),
        "identity": UserSocialAuth.objects.filter(user=user, provider="globus").first(),
        "next": next_page(request),
    }
    return render(request, "accounts/profile.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def subscribe(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    plans = {plan.code: plan for plan in Plan.objects.all()}
    target = plans[Plan.PREMIUM if user.plan.code == Plan.FREE else Plan.FREE]
    form = SubscribeForm(posted(request), target)
    if form.is_valid():
        chosen = plans[form.cleaned_data["plan"]]
        if change_plan(user, chosen.code):
            messages.success(request, f"You are on the {chosen.name} plan now.")
        else:
            messages.info(request, f"You were on the {chosen.name} plan already.")
        return redirect("subscribe")
    context = {"form": form, "free": plans[Plan.FREE], "premium": plans[Plan.PREMIUM], "plan": user.plan}
    return render(request, "accounts/subscribe.html", context | {"target": target})


class ConfirmEmail(ConfirmEmailView):  # type: ignore[misc]  # allauth has no types
    """allauth's page; but a GET changes nothing, so a link from somebody else's mail signs nobody out."""

    def logout_other_user(self, confirmation: object) -> None:
        pass
