# What a plan says, without an account: AWS is mocked.

mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  region            = "eu-west-1"
  domain            = "gas.example.org"
  certificate_arn   = "arn:aws:acm:eu-west-1:123456789012:certificate/0"
  image             = "registry.example.org/gas@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  mail_from         = "gas@example.org"
  support_email     = "help@example.org"
  database_password = "abcdefghijabcdefghijabcdefghij"
}

run "plan" {
  command = plan

  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.this : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "A bucket is open to the public."
  }
  assert {
    condition     = join(" ", keys(aws_s3_bucket.this)) == "archive results uploads"
    error_message = "Uploads, results and archive have a bucket each."
  }
  assert {
    condition     = one(aws_s3_bucket_cors_configuration.uploads.cors_rule).allowed_origins == toset(["https://gas.example.org"])
    error_message = "Slices come from the site's own pages alone."
  }
  assert {
    condition     = aws_lb_listener.http.default_action[0].redirect[0].status_code == "HTTP_301" && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
    error_message = "http leads to https."
  }
  assert {
    condition     = startswith(aws_lb_listener.https.ssl_policy, "ELBSecurityPolicy-TLS13-1-2-")
    error_message = "TLS 1.2 or later."
  }
  assert {
    condition     = aws_db_instance.this.multi_az && aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible && aws_db_instance.this.backup_retention_period >= 7
    error_message = "The database is private, encrypted, doubled and backed up."
  }
  assert {
    condition     = anytrue([for parameter in aws_db_parameter_group.this.parameter : parameter.name == "rds.force_ssl" && parameter.value == "1"])
    error_message = "The database takes TLS connections alone."
  }
  assert {
    condition     = join(" ", keys(aws_sqs_queue.this)) == "annotate archive clean notify" && join(" ", keys(aws_sqs_queue.dead)) == "annotate archive clean notify"
    error_message = "Each kind of work has its queue, and each queue its dead letters."
  }
  assert {
    condition     = aws_sqs_queue.this["annotate"].name == "gas_annotate" && aws_sqs_queue.dead["annotate"].name == "gas_annotate_dlq"
    error_message = "The workers look for queues of these names."
  }
  assert {
    condition     = aws_appautoscaling_target.annotator.min_capacity == 0 && aws_ecs_service.light["dispatcher"].desired_count == 2
    error_message = "Annotators begin at zero; of dispatchers there are two."
  }
  assert {
    condition     = alltrue([for definition in aws_ecs_task_definition.process : definition.requires_compatibilities == toset(["FARGATE"])])
    error_message = "Tasks run on Fargate."
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 2 && length(aws_glacier_vault.this) == 0
    error_message = "A gateway in each zone, and no classic vault unless asked for."
  }
}

run "small" {
  command = plan
  variables {
    multi_az            = false
    deletion_protection = false
    glacier_vault       = "old"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && !aws_db_instance.this.multi_az && aws_db_instance.this.skip_final_snapshot
    error_message = "A trial costs one gateway and one database, and can be destroyed."
  }
  assert {
    condition     = aws_glacier_vault.this[0].name == "old"
    error_message = "The classic vault is there when it is named."
  }
}

run "image_by_tag" {
  command = plan
  variables {
    image = "registry.example.org/gas:latest"
  }
  expect_failures = [var.image]
}

run "weak_password" {
  command = plan
  variables {
    database_password = "short"
  }
  expect_failures = [var.database_password]
}
