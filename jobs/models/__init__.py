from jobs.models.job import Job
from jobs.models.mail import Mail
from jobs.models.notification import Notification
from jobs.models.upload import Upload

__all__ = ["Job", "Mail", "Notification", "Upload"]
