"""Settings, read from the environment; `.env.example` names every variable.

`make setup` writes a `.env` for this machine (DEBUG on, secrets of its own): the embedded default. Without that file DEBUG is
off, and a missing secret stops the start.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY")
FIELD_KEYS = env.list("FIELD_KEYS")  # Fernet keys; the first encrypts, all decrypt
PORT = env.int("PORT", 8000)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_URL = env.str("SITE_URL", f"http://localhost:{PORT}" if DEBUG else environ.Env.NOTSET).rstrip("/")
VAR_DIR = Path(env.str("VAR_DIR", str(BASE_DIR / "var"))).absolute()

# --- what it runs on: the embedded default needs no service; production names its own --------------------------------
STORAGE = env.str("STORAGE", "local" if DEBUG else "s3")
BROKER = env.str("BROKER", "memory" if DEBUG else "sqs")

DATABASES = {"default": env.db("DATABASE_URL", f"sqlite:///{VAR_DIR}/gas.sqlite3" if DEBUG else environ.Env.NOTSET)}
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a transaction that begins with a read and then writes would otherwise fail with "database is locked"
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    _database["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", 600)
    _database["CONN_HEALTH_CHECKS"] = True

CACHES = {"default": env.cache("CACHE_URL", "locmemcache://" if DEBUG else "dbcache://gas_cache")}

AWS_REGION = env.str("AWS_REGION", env.str("AWS_DEFAULT_REGION", ""))
S3_UPLOADS_BUCKET = env.str("S3_UPLOADS_BUCKET", "")
S3_RESULTS_BUCKET = env.str("S3_RESULTS_BUCKET", "")
_s3_endpoint = env.str("AWS_ENDPOINT_URL_S3", env.str("AWS_ENDPOINT_URL", ""))  # boto3 reads them too
_s3_host = f"{S3_UPLOADS_BUCKET}.s3.{AWS_REGION}".removesuffix(".us-east-1")  # the name of that region's S3 is short
_s3_origin = _s3_endpoint or f"https://{_s3_host}.amazonaws.com"
S3_BROWSER_ORIGIN = env.str("S3_BROWSER_ORIGIN", _s3_origin)  # where browsers PUT slices
SQS_NAMESPACE = env.str("SQS_NAMESPACE", "gas")
VAULT = env.str("VAULT", "local" if STORAGE == "local" else "s3")  # of new archives; each row keeps its own
S3_ARCHIVE_BUCKET = env.str("S3_ARCHIVE_BUCKET", "")
S3_ARCHIVE_CLASS = env.str("S3_ARCHIVE_CLASS", "GLACIER")
S3_RESTORE_DAYS = env.int("S3_RESTORE_DAYS", 1)  # how long S3 keeps the restored copy, which we take at once
RESTORE_EVENTS_QUEUE_URL = env.str("RESTORE_EVENTS_QUEUE_URL", "")  # an SQS queue; the dispatcher listens to it
GLACIER_VAULT = env.str("GLACIER_VAULT", "")
_delays = {"Expedited": "5", "Standard": "30", "Bulk": "60"}
LOCAL_VAULT_DELAYS = {tier: float(seconds) for tier, seconds in env.dict("LOCAL_VAULT_DELAYS", default=_delays).items()}
if VAULT not in ("local", "s3", "glacier"):
    raise ImproperlyConfigured(f"VAULT is {VAULT}: it is local, s3 or glacier.")
if S3_ARCHIVE_CLASS not in ("GLACIER", "DEEP_ARCHIVE"):
    raise ImproperlyConfigured(f"S3_ARCHIVE_CLASS is {S3_ARCHIVE_CLASS}: it is GLACIER or DEEP_ARCHIVE.")
if S3_RESTORE_DAYS < 1:
    raise ImproperlyConfigured(f"S3_RESTORE_DAYS is {S3_RESTORE_DAYS}: S3 keeps a restored copy for at least 1 day.")
if S3_ARCHIVE_BUCKET and S3_ARCHIVE_BUCKET in (S3_UPLOADS_BUCKET, S3_RESULTS_BUCKET):
    raise ImproperlyConfigured("S3_ARCHIVE_BUCKET is another one's name: all that is in it counts as an archive.")
if RESTORE_EVENTS_QUEUE_URL and not S3_ARCHIVE_BUCKET:
    raise ImproperlyConfigured("RESTORE_EVENTS_QUEUE_URL is set, but not S3_ARCHIVE_BUCKET, whose events these are.")
if LOCAL_VAULT_DELAYS.keys() != _delays.keys():
    raise ImproperlyConfigured("LOCAL_VAULT_DELAYS names seconds for all three: Expedited=5,Standard=30,Bulk=60")
_needed = {
    "AWS_REGION": STORAGE == "s3" or BROKER == "sqs" or S3_ARCHIVE_BUCKET or GLACIER_VAULT,
    "S3_UPLOADS_BUCKET": STORAGE == "s3",
    "S3_RESULTS_BUCKET": STORAGE == "s3",
    "S3_ARCHIVE_BUCKET": VAULT == "s3",
    "GLACIER_VAULT": VAULT == "glacier",
}
for _name, _is_needed in _needed.items():
    if _is_needed and not globals()[_name]:
        raise ImproperlyConfigured(f"Set {_name}: STORAGE={STORAGE}, BROKER={BROKER} and VAULT={VAULT} need it.")

if STORAGE == "s3":
    _objects = {
        name: {
            "BACKEND": "gas.aws.s3.S3ObjectStorage",
            "OPTIONS": {"bucket_name": bucket, "region_name": AWS_REGION},
        }
        for name, bucket in (("uploads", S3_UPLOADS_BUCKET), ("results", S3_RESULTS_BUCKET))
    }
else:
    _objects = {
        name: {"BACKEND": "gas.objects.LocalObjectStorage", "OPTIONS": {"bucket": name}}
        for name in ("uploads", "results")
    }
STORAGES = {
    "default": _objects["results"],
    **_objects,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
VAULTS: dict[str, dict[str, Any]] = {"local": {"BACKEND": "gas.vaults.LocalVault"}}
if S3_ARCHIVE_BUCKET:
    VAULTS["s3"] = {
        "BACKEND": "gas.aws.s3_vault.S3Vault",
        "OPTIONS": {
            "bucket_name": S3_ARCHIVE_BUCKET,
            "region_name": AWS_REGION,
            "storage_class": S3_ARCHIVE_CLASS,
            "restore_days": S3_RESTORE_DAYS,
        },
    }
if GLACIER_VAULT:
    VAULTS["glacier"] = {
        "BACKEND": "gas.aws.glacier.GlacierVault",
        "OPTIONS": {"vault_name": GLACIER_VAULT, "region_name": AWS_REGION},
    }

DRAMATIQ_BROKER = {
    "BROKER": "gas.aws.sqs.HeartbeatSQSBroker" if BROKER == "sqs" else "dramatiq.brokers.stub.StubBroker",
    "OPTIONS": {"namespace": SQS_NAMESPACE, "region_name": AWS_REGION} if BROKER == "sqs" else {},
    # No AdminMiddleware (the rows tell more), no Prometheus. The rows retry; Retries serves only a failure to reach them.
    "MIDDLEWARE": [
        "dramatiq.middleware.AgeLimit",
        "dramatiq.middleware.TimeLimit",
        "gas.stopping.NoNewWork",
        "dramatiq.middleware.ShutdownNotifications",
        "dramatiq.middleware.Callbacks",
        "dramatiq.middleware.Retries",
        "django_dramatiq.middleware.DbConnectionsMiddleware",
    ],
}
DRAMATIQ_AUTODISCOVER_MODULES = ["tasks"]
DRAMATIQ_NTHREADS = env.int("WORKER_THREADS", 2)
DRAMATIQ_NPROCS = env.int("WORKER_PROCESSES", 1)

EMAIL_BACKEND = env.str("EMAIL_BACKEND", "gas.mail.FolderEmailBackend" if DEBUG else "django_ses.SESBackend")
EMAIL_FILE_PATH = VAR_DIR / "mail"
EMAIL_HOST = env.str("EMAIL_HOST", "localhost")
EMAIL_PORT = env.int("EMAIL_PORT", 25)
EMAIL_TIMEOUT = 20
AWS_SES_REGION_NAME = AWS_REGION or None
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str(
    "DEFAULT_FROM_EMAIL", "GAS <gas@localhost>" if DEBUG else environ.Env.NOTSET
)
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", "gas-support@localhost" if DEBUG else environ.Env.NOTSET)

# --- jobs ----------------------------------------------------------------------------------------------------------
SCRATCH_DIR = Path(env.str("SCRATCH_DIR", str(VAR_DIR / "scratch"))).absolute()
ANNOTATORS = env.int("ANNOTATORS", 2)  # annotator processes at a time in the embedded default
JOB_LEASE = timedelta(seconds=env.float("JOB_LEASE", 90))
DISPATCH_INTERVAL = timedelta(seconds=env.float("DISPATCH_INTERVAL", 5))
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", 5 * 1024**3)  # for plans without a limit of their own
UPLOAD_PART_BYTES = env.int("UPLOAD_PART_BYTES", 8 * 1024**2)  # S3 wants at least 5 MiB
UPLOAD_LIFETIME = timedelta(seconds=env.float("UPLOAD_LIFETIME", 24 * 3600))
LINK_LIFETIME = timedelta(seconds=env.float("LINK_LIFETIME", 300))  # of download links
ANNOTATOR = env.str("ANNOTATOR", "engine")
ANNOTATOR_COMMAND = env.str("ANNOTATOR_COMMAND", "")  # docs/annotators.md
if ANNOTATOR not in ("engine", "command"):
    raise ImproperlyConfigured(f"ANNOTATOR is {ANNOTATOR}: it is engine or command.")
if ANNOTATOR == "command" and "{input}" not in ANNOTATOR_COMMAND:
    raise ImproperlyConfigured("ANNOTATOR=command needs ANNOTATOR_COMMAND, a command line with {input}.")
GAS_MAX_REF_MISMATCH = env.float("GAS_MAX_REF_MISMATCH", 0.1)  # the engine reads it from the environment
if not 0 <= GAS_MAX_REF_MISMATCH <= 1:
    raise ImproperlyConfigured(f"GAS_MAX_REF_MISMATCH is {GAS_MAX_REF_MISMATCH}: it is a share from 0 to 1.")
ANNOTATOR_MEMORY_BYTES = env.int("ANNOTATOR_MEMORY_BYTES", 4 * 1024**3)
ANNOTATOR_CPU_SECONDS = env.int("ANNOTATOR_CPU_SECONDS", 4 * 3600)
ANNOTATOR_WALL_SECONDS = env.int("ANNOTATOR_WALL_SECONDS", 8 * 3600)
ANNOTATOR_FILE_BYTES = env.int("ANNOTATOR_FILE_BYTES", 50 * 1024**3)

# --- the archive: docs/archive.md ------------------------------------------------------------------------------------
_free_retention = env.str("FREE_RETENTION", "")
FREE_RETENTION = (
    timedelta(seconds=float(_free_retention)) if _free_retention else None
)  # None: as the plan's row has it
ARCHIVE_MIN_BYTES = env.int("ARCHIVE_MIN_BYTES", 0)  # smaller results are locked, but stay where they are
ARCHIVE_WARNING = timedelta(
    seconds=env.float("ARCHIVE_WARNING", 48 * 3600)
)  # mail before it, for windows above a day; 0: none
RETRIEVAL_TIERS = env.list("RETRIEVAL_TIERS", default=["Expedited", "Standard"])  # asked in this order
if not RETRIEVAL_TIERS or not set(RETRIEVAL_TIERS) <= _delays.keys():
    raise ImproperlyConfigured(
        f"RETRIEVAL_TIERS is {','.join(RETRIEVAL_TIERS)}: it lists some of Expedited,Standard,Bulk."
    )
if S3_ARCHIVE_CLASS == "DEEP_ARCHIVE" and RETRIEVAL_TIERS == ["Expedited"]:
    raise ImproperlyConfigured(
        "S3_ARCHIVE_CLASS=DEEP_ARCHIVE has no Expedited retrievals: add Standard to RETRIEVAL_TIERS."
    )
_expedited = env.str("EXPEDITED_MAX_FILES", "")
EXPEDITED_MAX_FILES = int(_expedited) if _expedited else None  # of one upgrade by the first tier; None: all

# What follows in other apps, in the same transaction (gas/followers.py): apps import downward only.
FOLLOWERS = {
    "job_completed": ["archive.follow.job_completed"],
    "job_deleted": ["archive.follow.job_deleted"],
    "retention_extended": ["archive.follow.retention_extended"],
    "job_moments": ["archive.follow.job_moments"],
    "archive_restored": ["archive.follow.archive_restored"],
    "data_exported": ["accounts.exporting.own_data", "jobs.exporting.own_data", "archive.exporting.own_data"],
    "account_closing": ["jobs.erasing.account_closing", "archive.erasing.account_closing"],
    "account_erased": ["jobs.erasing.account_erased", "archive.erasing.account_erased"],
    "plan_changed": ["jobs.follow.plan_changed", "archive.follow.plan_changed"],
    "plan_told": ["archive.follow.plan_told"],
    "address_confirmed": ["jobs.follow.address_confirmed", "archive.follow.address_confirmed"],
}
# The start page of the staff, and the page of a user there: gas/desk.py.
DESK = ["accounts.desk.sections", "jobs.desk.sections", "archive.desk.sections", "gas.desk.queues"]
DESK_ABOUT = ["accounts.desk.about", "jobs.desk.about", "archive.desk.about"]

# --- Django ----------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "gas",
    "accounts",
    "jobs",
    "archive",
    "accounts.admin_config.GASAdminConfig",  # django.contrib.admin with our site
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "social_django",
    "django_dramatiq",
    "django_htmx",
    "csp",
]
MIDDLEWARE = [
    "gas.health.health_checks",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "gas.middleware.response_headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "accounts.middleware.absolute_session_lifetime",
    "accounts.middleware.last_seen",
    "accounts.middleware.profile_completion",
    "accounts.middleware.SignInRefusals",
    "gas.middleware.ErrorPages",
]
ROOT_URLCONF = "gas.urls"
WSGI_APPLICATION = "gas.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "gas.context.site",
                "accounts.context.erasure",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATICFILES_DIRS = [BASE_DIR / "var" / "assets"]  # `make assets` copies them there from their packages
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024**2  # files never come through a form

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "gas.log_lines.LogLines", "format": "{asctime} {levelname} {name} {message}", "style": "{"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    # Django's own handlers would say everything twice; that there is more than one Worker in the embedded default is meant
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "dramatiq.broker.StubBroker": {"level": "ERROR"},
        "gas.security": {"level": "INFO"},  # whatever LOG_LEVEL is
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "WARNING" if DEBUG else "INFO")},
}

# --- who may sign in -------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "accounts.backends.GlobusAuth",  # researchers: OpenID Connect only
    "allauth.account.auth_backends.AuthenticationBackend",  # staff: e-mail and password; everybody's permissions
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 15}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "full_name"]},
    },
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
PASSWORD_RESET_TIMEOUT = 24 * 3600  # seconds that the link to set a password holds; it is used up by one use
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"

FAKEGLOBUS_PORT = env.int("FAKEGLOBUS_PORT", PORT + 1)
GLOBUS_AUTH_URL = env.str(
    "GLOBUS_AUTH_URL", f"http://127.0.0.1:{FAKEGLOBUS_PORT}" if DEBUG else "https://auth.globus.org"
).rstrip("/")
if not DEBUG and urlsplit(GLOBUS_AUTH_URL).scheme != "https":
    raise ImproperlyConfigured(
        f"GLOBUS_AUTH_URL is {GLOBUS_AUTH_URL}: with DEBUG off sign-in must go to Globus over https, "
        "never to the stand-in. Unset it, or set it to https://auth.globus.org."
    )
SOCIAL_AUTH_GLOBUS_KEY = env.str("GLOBUS_CLIENT_ID", "dev-client" if DEBUG else environ.Env.NOTSET)
SOCIAL_AUTH_GLOBUS_SECRET = env.str("GLOBUS_CLIENT_SECRET", "dev-secret" if DEBUG else environ.Env.NOTSET)
SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT = GLOBUS_AUTH_URL
SOCIAL_AUTH_GLOBUS_ID_TOKEN_ISSUER = GLOBUS_AUTH_URL  # pinned: the discovery document may not name another
SOCIAL_AUTH_GLOBUS_USE_PKCE = env.bool("GLOBUS_USE_PKCE", True)
SOCIAL_AUTH_GLOBUS_TOKEN_ENDPOINT_AUTH_METHOD = "client_secret_basic"  # noqa: S105 (the method's name)
SOCIAL_AUTH_GLOBUS_JWT_ALGORITHMS = ["RS512"]
SOCIAL_AUTH_GLOBUS_SCOPE = ["urn:globus:auth:scope:auth.globus.org:view_identity_set"]  # + openid profile email
SOCIAL_AUTH_URL_NAMESPACE = "social"
SOCIAL_AUTH_SANITIZE_REDIRECTS = True
SOCIAL_AUTH_LOGIN_ERROR_URL = "/login/"
SOCIAL_AUTH_RAISE_EXCEPTIONS = False
SOCIAL_AUTH_REQUESTS_TIMEOUT = 5
SOCIAL_AUTH_REDIRECT_IS_HTTPS = not DEBUG
SOCIAL_AUTH_PIPELINE = (
    "social_core.pipeline.social_auth.social_details",
    "social_core.pipeline.social_auth.social_names",
    "social_core.pipeline.social_auth.social_uid",
    "social_core.pipeline.social_auth.auth_allowed",
    "accounts.pipeline.no_linking_to_a_live_session",
    "social_core.pipeline.social_auth.social_user",
    # never associate_by_email: Globus sends no email_verified
    "accounts.pipeline.no_staff",
    "accounts.pipeline.create_account",
    "social_core.pipeline.social_auth.associate_user",
    "social_core.pipeline.social_auth.load_extra_data",
    "accounts.pipeline.keep_profile",
    "accounts.pipeline.keep_tokens_for_logout",
    "accounts.pipeline.check_step_up",
    "accounts.pipeline.finish_with_allauth",
)

ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_CHANGE_EMAIL = True  # the new address replaces the old one when it is confirmed
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_NOTIFICATIONS = True  # of a changed password, second factor or address, to the address as it was
ACCOUNT_FORMS = {"reset_password": "accounts.staff_forms.StaffResetPasswordForm"}
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http" if DEBUG else "https"
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "globus_begin": "20/m/ip",
    # those that send mail to an address that somebody typed
    "manage_email": "10/m/user,50/d/user",
    "confirm_email": "1/3m/key,5/d/key",
    "reset_password": "20/m/ip,5/h/key",
}
MFA_ADAPTER = "accounts.adapter.MFAAdapter"  # secrets of second factors are sealed
MFA_FORMS = {
    "add_webauthn": "accounts.staff_forms.AddPasskeyForm",
    "authenticate_webauthn": "accounts.staff_forms.PasskeyAsSecondFactorForm",
    "login_webauthn": "accounts.staff_forms.PasskeySignInForm",
    "reauthenticate_webauthn": "accounts.staff_forms.PasskeyStepUpForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "GAS"
MFA_TOTP_TOLERANCE = 0
MFA_TRUST_ENABLED = False
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG  # http://localhost
STAFF_MFA_AGE = timedelta(seconds=env.float("STAFF_MFA_AGE", 12 * 3600))  # of the second factor that opens /admin/
STEP_UP_AGE = timedelta(seconds=env.float("STEP_UP_AGE", 300))  # how long a fresh sign-in opens what needs one
ERASURE_GRACE = timedelta(seconds=env.float("ERASURE_GRACE", 7 * 24 * 3600))  # in which an erasure can be undone
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", 0)

# --- payment: docs/accounts.md; without these settings an upgrade is a confirmed POST, and costs nothing ----------------
STRIPE_API_BASE = "https://api.stripe.com"
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", "")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", "")
STRIPE_PRICE = env.str("STRIPE_PRICE", "")  # Premium's, recurring
_stripe = ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_PRICE")
_stripe_unset = [name for name in _stripe if not globals()[name]]
if 0 < len(_stripe_unset) < len(_stripe):
    raise ImproperlyConfigured(f"Set {' and '.join(_stripe_unset)} too, or none of {', '.join(_stripe)}.")
_stripe_pages = ["https://checkout.stripe.com", "https://billing.stripe.com"] if STRIPE_SECRET_KEY else []
FAKESTRIPE_PORT = env.int("FAKESTRIPE_PORT", 0)  # of the stand-in, which then takes the place of Stripe; 0: none
if FAKESTRIPE_PORT:
    if not DEBUG:
        raise ImproperlyConfigured("FAKESTRIPE_PORT is set: with DEBUG off payment must go to Stripe. Unset it.")
    STRIPE_API_BASE = f"http://127.0.0.1:{FAKESTRIPE_PORT}"
    STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_PRICE = "sk_test_stand_in", "whsec_stand_in", "price_stand_in"
    _stripe_pages = [STRIPE_API_BASE]

# --- the browser's side ------------------------------------------------------------------------------------------------
SESSION_COOKIE_AGE = 12 * 3600
SESSION_ABSOLUTE_AGE = 7 * 24 * 3600
SESSION_COOKIE_SAMESITE = "Lax"  # not Strict: coming back from Globus is a cross-site top-level GET
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # data: Bootstrap's own icons
        "font-src": ["'self'"],
        "connect-src": ["'self'", *([S3_BROWSER_ORIGIN] if STORAGE == "s3" else [])],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
        # signing in and out and paying are forms that POST here and are redirected there; Chromium holds that to form-action
        "form-action": ["'self'", GLOBUS_AUTH_URL, *_stripe_pages],
    }
}
if not DEBUG:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
