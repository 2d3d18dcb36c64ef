# One queue for each kind of work, each with its dead letters. The rows say what is to be done; a message only hints at one.

resource "aws_sqs_queue" "dead" {
  for_each                  = toset(local.queues)
  name                      = "${var.name}_${each.key}_dlq"
  message_retention_seconds = 1209600 # 14 days, the most
  kms_master_key_id         = aws_kms_key.this.arn
}

resource "aws_sqs_queue" "this" {
  for_each                   = toset(local.queues)
  name                       = "${var.name}_${each.key}"
  visibility_timeout_seconds = 90 # the workers renew it while they work
  receive_wait_time_seconds  = 20
  message_retention_seconds  = 345600
  kms_master_key_id          = aws_kms_key.this.arn
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead[each.key].arn, maxReceiveCount = 5 })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  for_each  = aws_sqs_queue.dead
  queue_url = each.value.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.this[each.key].arn]
  })
}

# S3 tells here what is back from the archive. It cannot use a queue with a key of AWS's own, but one with ours.
resource "aws_sqs_queue" "restore_events" {
  name                      = "${var.name}_restore_events"
  receive_wait_time_seconds = 20
  message_retention_seconds = 345600
  kms_master_key_id         = aws_kms_key.this.arn
}

resource "aws_sqs_queue_policy" "restore_events" {
  queue_url = aws_sqs_queue.restore_events.id
  policy    = data.aws_iam_policy_document.restore_events.json
}

data "aws_iam_policy_document" "restore_events" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.restore_events.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.this["archive"].arn]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}
