"""The pages of plans and payment. No card is typed here: that is on Stripe's pages."""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import billing
from accounts.billing_forms import SubscribeForm
from accounts.models import Plan, User
from accounts.plans import change_plan
from accounts.step_up import is_fresh, to_step_up
from accounts.views import posted, researchers_only, signed_in

OUT_OF_REACH = "The payment service cannot be reached. Nothing was changed or charged; try again in some minutes."


@researchers_only
@require_http_methods(["GET", "HEAD", "POST"])
def subscribe(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    plans = {plan.code: plan for plan in Plan.objects.all()}
    plan = plans[user.plan.code]
    target = plans[Plan.PREMIUM if plan.code == Plan.FREE else Plan.FREE]
    form = SubscribeForm(posted(request), target)
    if form.is_valid():
        return _change(request, user, plans[form.cleaned_data["plan"]])
    context = {
        "form": form,
        "free": plans[Plan.FREE],
        "premium": plans[Plan.PREMIUM],
        "plan": plan,
        "target": target,
        "is_paid_service": billing.is_on(),
        "is_customer": billing.is_on() and billing.is_customer(user),
        "is_paid": billing.is_on() and plan.code == Plan.PREMIUM and billing.premium_is_paid(user),
        "history": user.subscriptions.select_related("plan", "previous").order_by("-started_at", "-pk"),
    }
    return render(request, "accounts/subscribe.html", context)


def _change(request: HttpRequest, user: User, chosen: Plan) -> HttpResponse:
    if chosen.code == Plan.FREE and not is_fresh(request):
        return to_step_up(reverse("subscribe"))
    if billing.is_on():
        try:
            if billing.refresh(user):
                messages.info(request, "You pay for Premium already. Manage or cancel it below.")
                return redirect("subscribe")
            if chosen.code == Plan.PREMIUM:
                return _to_payment(request, user)
        except billing.BillingUnavailable:
            messages.error(request, OUT_OF_REACH)
            return redirect("subscribe")
    if change_plan(user, chosen.code):
        messages.success(request, f"You are on the {chosen.name} plan now.")
    else:
        messages.info(request, f"You were on the {chosen.name} plan already.")
    return redirect("subscribe")


def _to_payment(request: HttpRequest, user: User) -> HttpResponse:
    user.refresh_from_db()  # what he paid for may have ended just now
    if user.plan.code == Plan.PREMIUM:
        messages.info(request, "You were on the Premium plan already.")
        return redirect("subscribe")
    urls = {"paid_url": _absolute("payment_done"), "back_url": _absolute("subscribe")}
    return HttpResponseRedirect(billing.payment_page(user, **urls))


@researchers_only
@require_safe
def payment_done(request: HttpRequest) -> HttpResponse:
    """Where Stripe leads back to. It changes nothing: that Premium is paid, Stripe itself says."""
    if not billing.is_on():
        raise Http404
    plan = signed_in(request).plan
    return render(request, "accounts/payment_done.html", {"plan": plan, "is_confirmed": plan.code == Plan.PREMIUM})


@researchers_only
@require_POST
def manage_payment(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    if not billing.is_on() or not billing.is_customer(user):
        raise Http404
    if not is_fresh(request):  # who is there may cancel
        return to_step_up(reverse("subscribe"))
    try:
        return HttpResponseRedirect(billing.customer_page(user, back_url=_absolute("subscribe")))
    except billing.BillingUnavailable:
        messages.error(request, OUT_OF_REACH)
        return redirect("subscribe")


@csrf_exempt  # Stripe's signature stands for it
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    if not billing.is_on():
        raise Http404
    try:
        billing.take_in(request.body, request.headers.get("Stripe-Signature", ""))
    except billing.NotFromStripe:
        return HttpResponse("The signature is not Stripe's.", status=400, content_type="text/plain")
    except billing.BillingUnavailable:
        return HttpResponse("Stripe cannot be asked: deliver it again.", status=503, content_type="text/plain")
    return HttpResponse("Seen to.", content_type="text/plain")


def _absolute(name: str) -> str:
    return f"{settings.SITE_URL}{reverse(name)}"
