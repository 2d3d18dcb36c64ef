from jobs.models.announcement import Announcement
from jobs.models.job import Job
from jobs.models.mail import Mail
from jobs.models.monthly_use import MonthlyUse
from jobs.models.notification import Notification
from jobs.models.upload import Upload

__all__ = ["Announcement", "Job", "Mail", "MonthlyUse", "Notification", "Upload"]
