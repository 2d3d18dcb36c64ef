# One role for each kind of process, with what it needs and nothing else. Above all: the web role can neither delete nor restore an
# archive, and reads no mail address but through the database.

data "aws_iam_policy_document" "tasks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

locals {
  processes = ["web", "annotator", "worker", "dispatcher"]

  hot_buckets = [for part in ["uploads", "results"] : aws_s3_bucket.this[part].arn]
  hot_objects = [for arn in local.hot_buckets : "${arn}/*"]
  archive     = aws_s3_bucket.this["archive"].arn
  archives    = "${aws_s3_bucket.this["archive"].arn}/*"
  queue_arns  = [for queue in aws_sqs_queue.this : queue.arn]
}

resource "aws_iam_role" "process" {
  for_each           = toset(local.processes)
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

resource "aws_iam_role_policy" "process" {
  for_each = {
    web        = data.aws_iam_policy_document.web.json
    annotator  = data.aws_iam_policy_document.annotator.json
    worker     = data.aws_iam_policy_document.worker.json
    dispatcher = data.aws_iam_policy_document.dispatcher.json
  }
  name   = "does"
  role   = aws_iam_role.process[each.key].name
  policy = each.value
}

data "aws_iam_policy_document" "hot" {
  statement {
    sid       = "UploadsAndResults"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    resources = local.hot_objects
  }
  statement {
    sid       = "TheirLists"
    actions   = ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"]
    resources = local.hot_buckets
  }
  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }
}

data "aws_iam_policy_document" "hint" {
  statement {
    sid       = "Hint"
    actions   = ["sqs:GetQueueUrl", "sqs:SendMessage", "sqs:GetQueueAttributes"]
    resources = local.queue_arns
  }
}

data "aws_iam_policy_document" "take" {
  statement {
    sid       = "TakeHints"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
    resources = local.queue_arns
  }
}

data "aws_iam_policy_document" "mail" {
  statement {
    sid       = "Mail"
    actions   = ["ses:SendEmail", "ses:SendRawEmail"]
    resources = [aws_sesv2_email_identity.this.arn, aws_sesv2_configuration_set.this.arn]
    condition {
      test     = "StringEquals"
      variable = "ses:FromAddress"
      values   = [var.mail_from]
    }
  }
}

data "aws_iam_policy_document" "archive_look" {
  statement {
    sid       = "LookAtArchives"
    actions   = ["s3:GetObject", "s3:ListBucket"]
    resources = [local.archive, local.archives]
  }
}

data "aws_iam_policy_document" "archive_work" {
  statement {
    sid = "Archives"
    actions = [
      "s3:GetObject", "s3:PutObject", "s3:RestoreObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload",
      "s3:ListMultipartUploadParts",
    ]
    resources = [local.archives]
  }
  statement {
    sid       = "TheirList"
    actions   = ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"]
    resources = [local.archive]
  }
  dynamic "statement" {
    for_each = aws_glacier_vault.this
    content {
      sid = "Vault"
      actions = [
        "glacier:UploadArchive", "glacier:InitiateMultipartUpload", "glacier:UploadMultipartPart", "glacier:CompleteMultipartUpload",
        "glacier:AbortMultipartUpload", "glacier:DeleteArchive", "glacier:InitiateJob", "glacier:ListJobs", "glacier:DescribeJob",
        "glacier:GetJobOutput",
      ]
      resources = [statement.value.arn]
    }
  }
}

# Whoever asks may not be stopped in the middle of a job when the service scales in.
data "aws_iam_policy_document" "task_protection" {
  statement {
    sid       = "TaskProtection"
    actions   = ["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"]
    resources = ["arn:${data.aws_partition.this.partition}:ecs:${var.region}:${local.account}:task/${aws_ecs_cluster.this.name}/*"]
  }
}

data "aws_iam_policy_document" "web" {
  source_policy_documents = [
    data.aws_iam_policy_document.hot.json, data.aws_iam_policy_document.archive_look.json, data.aws_iam_policy_document.hint.json,
    data.aws_iam_policy_document.mail.json,
  ]
}

data "aws_iam_policy_document" "annotator" {
  source_policy_documents = [
    data.aws_iam_policy_document.hot.json, data.aws_iam_policy_document.hint.json, data.aws_iam_policy_document.take.json,
    data.aws_iam_policy_document.task_protection.json,
  ]
}

data "aws_iam_policy_document" "worker" {
  source_policy_documents = [
    data.aws_iam_policy_document.hot.json, data.aws_iam_policy_document.archive_work.json, data.aws_iam_policy_document.hint.json,
    data.aws_iam_policy_document.take.json, data.aws_iam_policy_document.mail.json,
  ]
}

data "aws_iam_policy_document" "dispatcher" {
  source_policy_documents = [data.aws_iam_policy_document.hint.json]
  statement {
    sid       = "RestoreEvents"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
    resources = [aws_sqs_queue.restore_events.arn]
  }
  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }
}

# --- what starts the tasks, and what watches ------------------------------------------------------------------------------

resource "aws_iam_role" "start" {
  name               = "${var.name}-start"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

resource "aws_iam_role_policy_attachment" "start" {
  role       = aws_iam_role.start.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "start" {
  name = "secrets"
  role = aws_iam_role.start.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow", Action = ["secretsmanager:GetSecretValue"],
        Resource = [aws_secretsmanager_secret.database_url.arn, aws_secretsmanager_secret.settings.arn]
      },
      { Effect = "Allow", Action = ["kms:Decrypt"], Resource = [aws_kms_key.this.arn] },
    ]
  })
}

resource "aws_iam_role" "database_monitoring" {
  name = "${var.name}-database-monitoring"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "monitoring.rds.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "database_monitoring" {
  role       = aws_iam_role.database_monitoring.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_iam_role" "flow_log" {
  name = "${var.name}-flow-log"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "vpc-flow-logs.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "flow_log" {
  name = "write"
  role = aws_iam_role.flow_log.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
      Resource = ["${aws_cloudwatch_log_group.network.arn}:*"]
    }]
  })
}
