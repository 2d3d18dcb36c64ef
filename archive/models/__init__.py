from archive.models.restoration import Restoration
from archive.models.result_archive import ResultArchive
from archive.models.retrieval import Retrieval

__all__ = ["Restoration", "ResultArchive", "Retrieval"]
