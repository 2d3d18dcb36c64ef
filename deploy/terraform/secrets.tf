# Two secrets: the database's URL, which is made here, and the settings that only an operator knows. The second begins empty:
#   aws secretsmanager put-secret-value --secret-id NAME/settings --secret-string file://settings.json
# with the keys of local.secret_settings; docs/operations.md says how to rotate each.

locals {
  secret_settings = ["SECRET_KEY", "FIELD_KEYS", "GLOBUS_CLIENT_ID", "GLOBUS_CLIENT_SECRET"]
}

resource "aws_secretsmanager_secret" "database_url" {
  name       = "${var.name}/database-url"
  kms_key_id = aws_kms_key.this.arn
}

resource "aws_secretsmanager_secret_version" "database_url" {
  secret_id                = aws_secretsmanager_secret.database_url.id
  secret_string_wo_version = var.database_password_version
  secret_string_wo         = "postgres://gas:${var.database_password}@${aws_db_instance.this.endpoint}/gas?sslmode=require"
}

resource "aws_secretsmanager_secret" "settings" {
  name       = "${var.name}/settings"
  kms_key_id = aws_kms_key.this.arn
}
