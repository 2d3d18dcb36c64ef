"""Who asks the HTTP API, by a token of his and nothing else."""

from django.conf import settings
from django.http import HttpRequest
from ninja.errors import Throttled
from ninja.security.http import HttpAuthBase
from ninja.throttling import SimpleRateThrottle

from accounts.models import ApiToken
from accounts.security_log import log_security_event
from jobs.refusals import Refused

MOST_A_MINUTE = 600  # requests with one token


class Bearer(HttpAuthBase):
    """`Authorization: Bearer gas_...` with a scope; the request's user is the token's, whatever cookies came along.

    Not ninja's HttpBearer: it logs the header when its scheme is another.
    """

    openapi_scheme = "bearer"

    def __init__(self, scope: ApiToken.Scope) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> ApiToken:
        token = _token_of(request)
        if token.note_use():
            log_security_event("token.used", user=token.user, request=request, token=token.pk)
        _check_rate(request, token)
        _check_account(token)
        if not token.allows(self.scope):
            raise Refused(
                "scope_missing",
                "The token does not allow this",
                f"It needs the scope “{self.scope}” and has {' and '.join(token.scopes) or 'none'}.",
                "Make a token with that scope on the page API tokens of your profile.",
                status=403,
            )
        request.user = token.user
        return token


def _token_of(request: HttpRequest) -> ApiToken:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        detail = "The API takes the header “Authorization: Bearer gas_…”, and neither passwords nor cookies."
        mend = "Make a token on the page API tokens of your profile."
        raise Refused("no_token", "There is no API token in the request", detail, mend, status=401)
    token: ApiToken | None = ApiToken.objects.find(secret.strip())
    if token is None:
        detail = "It was never made, has expired or was revoked, or its account is closed."
        mend = "Look at the page API tokens of your profile."
        raise Refused("token_invalid", "This API token does not count", detail, mend, status=401)
    return token


class _Rate(SimpleRateThrottle):
    def __init__(self, token: ApiToken) -> None:
        super().__init__(f"{MOST_A_MINUTE}/min")
        self.token = token

    def get_cache_key(self, _: HttpRequest) -> str:
        return f"api_token:{self.token.pk}"


def _check_rate(request: HttpRequest, token: ApiToken) -> None:
    rate = _Rate(token)  # one for each request: it keeps what it has read on itself, and threads would mix that up
    if not rate.allow_request(request):
        raise Throttled(wait=int(rate.wait() or 0) + 1)


def _check_account(token: ApiToken) -> None:
    profile = getattr(token.user, "profile", None)
    if profile is None or profile.completed_at is None:
        detail, mend = "Your name, e-mail and institution are not complete.", f"Go to {settings.SITE_URL}/profile/."
        raise Refused("profile_incomplete", "Your profile is not complete", detail, mend, status=403)
