from accounts.models.api_token import ApiToken
from accounts.models.audit_event import AuditEvent
from accounts.models.erasure import Erasure
from accounts.models.plan import Plan
from accounts.models.subscription import StripeEvent, Subscription
from accounts.models.user import Profile, User, opaque

__all__ = ["ApiToken", "AuditEvent", "Erasure", "Plan", "Profile", "StripeEvent", "Subscription", "User", "opaque"]
