# Web by requests, annotators by backlog: waiting jobs over running tasks, as AWS advises for queues. The quotient says nothing at
# zero tasks, so a step starts the first, and takes the last when nothing waits and nothing runs.

resource "aws_appautoscaling_target" "web" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.web.name}"
  min_capacity       = var.web.least
  max_capacity       = var.web.most
}

resource "aws_appautoscaling_policy" "web" {
  name               = "requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "ecs"
  scalable_dimension = aws_appautoscaling_target.web.scalable_dimension
  resource_id        = aws_appautoscaling_target.web.resource_id
  target_tracking_scaling_policy_configuration {
    target_value       = var.web.requests
    scale_in_cooldown  = 300
    scale_out_cooldown = 60
    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = "${aws_lb.this.arn_suffix}/${aws_lb_target_group.web.arn_suffix}"
    }
  }
}

resource "aws_appautoscaling_target" "annotator" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.annotator.name}"
  min_capacity       = var.annotator.least
  max_capacity       = var.annotator.most
}

resource "aws_appautoscaling_policy" "backlog" {
  name               = "backlog"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "ecs"
  scalable_dimension = aws_appautoscaling_target.annotator.scalable_dimension
  resource_id        = aws_appautoscaling_target.annotator.resource_id
  target_tracking_scaling_policy_configuration {
    target_value       = var.annotator.backlog
    scale_in_cooldown  = 300
    scale_out_cooldown = 60
    customized_metric_specification {
      metrics {
        id          = "waiting"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "AWS/SQS"
            metric_name = "ApproximateNumberOfMessagesVisible"
            dimensions {
              name  = "QueueName"
              value = aws_sqs_queue.this["annotate"].name
            }
          }
        }
      }
      metrics {
        id          = "running"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"
            dimensions {
              name  = "ClusterName"
              value = aws_ecs_cluster.this.name
            }
            dimensions {
              name  = "ServiceName"
              value = aws_ecs_service.annotator.name
            }
          }
        }
      }
      metrics {
        id          = "backlog"
        label       = "Waiting jobs for each running annotator"
        expression  = "IF(running > 0, waiting / running, waiting)"
        return_data = true
      }
    }
  }
}

resource "aws_appautoscaling_policy" "first" {
  name               = "first"
  policy_type        = "StepScaling"
  service_namespace  = "ecs"
  scalable_dimension = aws_appautoscaling_target.annotator.scalable_dimension
  resource_id        = aws_appautoscaling_target.annotator.resource_id
  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    cooldown                = 60
    metric_aggregation_type = "Maximum"
    step_adjustment {
      metric_interval_lower_bound = 0
      scaling_adjustment          = 1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "first" {
  alarm_name          = "${var.name}-annotator-first"
  alarm_description   = "Jobs wait and no annotator runs: starts the first."
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.first.arn]
  metric_query {
    id          = "wanted"
    expression  = "IF(FILL(running, 0) < 1 AND waiting > 0, 1, 0)"
    return_data = true
  }
  metric_query {
    id = "waiting"
    metric {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      period      = 60
      stat        = "Maximum"
      dimensions  = { QueueName = aws_sqs_queue.this["annotate"].name }
    }
  }
  metric_query {
    id = "running"
    metric {
      namespace   = "ECS/ContainerInsights"
      metric_name = "RunningTaskCount"
      period      = 60
      stat        = "Maximum"
      dimensions  = { ClusterName = aws_ecs_cluster.this.name, ServiceName = aws_ecs_service.annotator.name }
    }
  }
}
