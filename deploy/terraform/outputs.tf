output "load_balancer" {
  description = "Point the domain's DNS record (alias) here."
  value       = aws_lb.this.dns_name
}

output "cluster" {
  description = "The ECS cluster; migrations run in it as a task of their own."
  value       = aws_ecs_cluster.this.name
}

output "buckets" {
  description = "Uploads, results and archive."
  value       = local.bucket
}

output "queues" {
  description = "The URL of each queue."
  value       = { for name, queue in aws_sqs_queue.this : name => queue.url }
}

output "settings_secret" {
  description = "Put SECRET_KEY, FIELD_KEYS, GLOBUS_CLIENT_ID and GLOBUS_CLIENT_SECRET there."
  value       = aws_secretsmanager_secret.settings.name
}
