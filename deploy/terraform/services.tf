# One image, four commands. Every container runs as uid 10001 on a read-only root; what it writes goes to a volume of the task.

resource "aws_ecs_cluster" "this" {
  name = var.name
  setting {
    name  = "containerInsights"
    value = "enhanced" # the alarms count running tasks by it
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_cloudwatch_log_group" "process" {
  for_each          = toset(local.processes)
  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = aws_kms_key.this.arn
}

resource "aws_cloudwatch_log_group" "network" {
  name              = "/${var.name}/network"
  retention_in_days = var.log_days
  kms_key_id        = aws_kms_key.this.arn
}

locals {
  settings = {
    DEBUG                    = "0"
    SITE_URL                 = "https://${var.domain}"
    ALLOWED_HOSTS            = var.domain
    TRUSTED_PROXY_COUNT      = "1"
    SECURE_SSL_REDIRECT      = "0" # the load balancer does it
    AWS_REGION               = var.region
    SQS_NAMESPACE            = var.name
    S3_UPLOADS_BUCKET        = local.bucket["uploads"]
    S3_RESULTS_BUCKET        = local.bucket["results"]
    S3_ARCHIVE_BUCKET        = local.bucket["archive"]
    S3_ARCHIVE_CLASS         = var.archive_class
    GLACIER_VAULT            = var.glacier_vault
    RESTORE_EVENTS_QUEUE_URL = aws_sqs_queue.restore_events.url
    DEFAULT_FROM_EMAIL       = var.mail_from
    SUPPORT_EMAIL            = var.support_email
    VAR_DIR                  = "/var/lib/gas"
    SCRATCH_DIR              = "/var/lib/gas/scratch"
    LOG_LEVEL                = "INFO"
  }

  commands = {
    web        = ["gunicorn", "gas.wsgi", "--bind=0.0.0.0:${local.web_port}", "--workers=2", "--threads=4", "--no-control-socket", "--worker-tmp-dir=/dev/shm"]
    annotator  = ["python", "manage.py", "rundramatiq", "--processes=1", "--threads=${max(1, floor(var.annotator.cpu / 1024))}", "--queues", "annotate"]
    worker     = ["python", "manage.py", "rundramatiq", "--processes=1", "--threads=4", "--queues", "archive", "notify", "clean"]
    dispatcher = ["python", "manage.py", "dispatch"]
  }

  sizes = {
    web        = { cpu = var.web.cpu, memory = var.web.memory, disk = 21 }
    annotator  = { cpu = var.annotator.cpu, memory = var.annotator.memory, disk = var.annotator.disk_gib }
    worker     = { cpu = 512, memory = 1024, disk = 50 }
    dispatcher = { cpu = 256, memory = 512, disk = 21 }
  }
}

resource "aws_ecs_task_definition" "process" {
  for_each                 = local.commands
  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.sizes[each.key].cpu
  memory                   = local.sizes[each.key].memory
  task_role_arn            = aws_iam_role.process[each.key].arn
  execution_role_arn       = aws_iam_role.start.arn
  ephemeral_storage {
    size_in_gib = local.sizes[each.key].disk
  }
  volume { name = "var" }
  volume { name = "tmp" }
  container_definitions = jsonencode([{
    name                   = each.key
    image                  = var.image
    essential              = true
    command                = each.value
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    stopTimeout            = 120
    linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
    portMappings           = each.key == "web" ? [{ containerPort = local.web_port, protocol = "tcp" }] : []
    mountPoints = [
      { sourceVolume = "var", containerPath = "/var/lib/gas" },
      { sourceVolume = "tmp", containerPath = "/tmp" },
    ]
    environment = [for name, value in local.settings : { name = name, value = value }]
    secrets = concat(
      [{ name = "DATABASE_URL", valueFrom = aws_secretsmanager_secret.database_url.arn }],
      [for name in local.secret_settings : { name = name, valueFrom = "${aws_secretsmanager_secret.settings.arn}:${name}::" }],
    )
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.process[each.key].name
        awslogs-region        = var.region
        awslogs-stream-prefix = each.key
      }
    }
  }])
}

resource "aws_ecs_service" "web" {
  name                               = "web"
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.process["web"].arn
  desired_count                      = var.web.least
  launch_type                        = "FARGATE"
  health_check_grace_period_seconds  = 60
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets         = [for subnet in aws_subnet.private : subnet.id]
    security_groups = [aws_security_group.web.id]
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.web.arn
    container_name   = "web"
    container_port   = local.web_port
  }
  lifecycle {
    ignore_changes = [desired_count] # scaling's
  }
  depends_on = [aws_lb_listener.https]
}

resource "aws_ecs_service" "annotator" {
  name            = "annotator"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.process["annotator"].arn
  desired_count   = var.annotator.least
  capacity_provider_strategy {
    capacity_provider = "FARGATE"
    base              = var.annotator.on_demand
    weight            = 0
  }
  # A Spot task that is taken away gives its job back; it begins again elsewhere.
  capacity_provider_strategy {
    capacity_provider = "FARGATE_SPOT"
    weight            = 1
  }
  network_configuration {
    subnets         = [for subnet in aws_subnet.private : subnet.id]
    security_groups = [aws_security_group.workers.id]
  }
  lifecycle {
    ignore_changes = [desired_count]
  }
  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

resource "aws_ecs_service" "light" {
  for_each        = { worker = 1, dispatcher = 2 } # two dispatchers do no harm, and one may always end
  name            = each.key
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.process[each.key].arn
  desired_count   = each.value
  launch_type     = "FARGATE"
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets         = [for subnet in aws_subnet.private : subnet.id]
    security_groups = [aws_security_group.workers.id]
  }
}
