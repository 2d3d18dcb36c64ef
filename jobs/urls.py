from django.urls import path

from jobs import support_views, upload_views, views
from jobs.api import api

urlpatterns = [
    path("api/v1/", api.urls),
    path("annotate/", views.annotate, name="annotate"),
    path("annotate/uploads/", upload_views.uploads, name="uploads"),
    path("annotate/uploads/<uuid:pk>/", upload_views.upload, name="upload"),
    path("annotate/uploads/<uuid:pk>/parts/<int:number>/", upload_views.part, name="upload_part"),
    path("annotate/uploads/<uuid:pk>/complete/", upload_views.complete, name="upload_complete"),
    path("annotate/uploads/<uuid:pk>/abort/", upload_views.abort, name="upload_abort"),
    path("annotations/", views.annotations, name="annotations"),
    path("annotations/<uuid:pk>/", views.annotation, name="annotation"),
    path("annotations/<uuid:pk>/log/", views.annotation_log, name="annotation_log"),
    path("annotations/<uuid:pk>/log/file/", views.annotation_log_file, name="annotation_log_file"),
    path("annotations/<uuid:pk>/skipped/", views.annotation_skipped, name="annotation_skipped"),
    path("annotations/<uuid:pk>/result/", views.annotation_result, name="annotation_result"),
    path("annotations/<uuid:pk>/index/", views.annotation_index, name="annotation_index"),
    path("annotations/<uuid:pk>/input/", views.annotation_input, name="annotation_input"),
    path("annotations/<uuid:pk>/cancel/", views.annotation_cancel, name="annotation_cancel"),
    path("annotations/<uuid:pk>/lift-over/", views.annotation_lift_over, name="annotation_lift_over"),
    path("annotations/<uuid:pk>/support/", support_views.support_grant, name="support_grant"),
    path("annotations/<uuid:pk>/support/withdraw/", support_views.support_withdraw, name="support_withdraw"),
    path("annotations/<uuid:pk>/delete/", views.annotation_delete, name="annotation_delete"),
]
