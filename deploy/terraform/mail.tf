# SES: where mails come from, and the topic that tells of bounces and complaints.

resource "aws_sesv2_configuration_set" "this" {
  configuration_set_name = var.name
  delivery_options {
    tls_policy = "REQUIRE"
  }
  reputation_options {
    reputation_metrics_enabled = true
  }
  suppression_options {
    suppressed_reasons = ["BOUNCE", "COMPLAINT"]
  }
}

resource "aws_sesv2_email_identity" "this" {
  email_identity         = var.mail_from
  configuration_set_name = aws_sesv2_configuration_set.this.configuration_set_name
}

resource "aws_sns_topic" "mail" {
  name              = "${var.name}-mail"
  kms_master_key_id = aws_kms_key.this.arn
}

resource "aws_sesv2_configuration_set_event_destination" "mail" {
  configuration_set_name = aws_sesv2_configuration_set.this.configuration_set_name
  event_destination_name = "bounces-and-complaints"
  event_destination {
    enabled              = true
    matching_event_types = ["BOUNCE", "COMPLAINT"]
    sns_destination {
      topic_arn = aws_sns_topic.mail.arn
    }
  }
}
