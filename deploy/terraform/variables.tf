variable "name" {
  description = "What everything is called; also the SQS namespace."
  type        = string
  default     = "gas"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "The name has 2 to 20 small letters, digits and hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "domain" {
  description = "The site's host name; its ACM certificate and its DNS record are the caller's."
  type        = string
}

variable "certificate_arn" {
  description = "The ACM certificate of the domain, in the same region."
  type        = string
  validation {
    condition     = startswith(var.certificate_arn, "arn:")
    error_message = "certificate_arn is the ARN of a certificate in ACM."
  }
}

variable "image" {
  description = "The container image by digest: repository@sha256:..."
  type        = string
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest (repository@sha256:...): a tag may point elsewhere tomorrow."
  }
}

variable "mail_from" {
  description = "The address that mails come from; SES sends a confirmation there unless its domain is verified."
  type        = string
}

variable "support_email" {
  description = "Where people may write."
  type        = string
}

variable "alarm_email" {
  description = "Who hears of alarms; empty: nobody."
  type        = string
  default     = ""
}

variable "cidr" {
  description = "Of the VPC, a /16."
  type        = string
  default     = "10.20.0.0/16"
}

variable "multi_az" {
  description = "A standby of the database in another zone, and a NAT gateway in each."
  type        = bool
  default     = true
}

variable "database_class" {
  description = "The instance class of the database."
  type        = string
  default     = "db.t4g.medium"
}

variable "database_password" {
  description = "Of the database's owner; goes to the database and to Secrets Manager, never into the state."
  type        = string
  sensitive   = true
  ephemeral   = true
  validation {
    condition     = can(regex("^[A-Za-z0-9]{30,100}$", var.database_password))
    error_message = "The password has 30 to 100 letters and digits: openssl rand -hex 32"
  }
}

variable "database_password_version" {
  description = "Raise it to have a new database_password written."
  type        = number
  default     = 1
}

variable "database_gigabytes" {
  description = "Disk of the database; it grows by itself up to five times that."
  type        = number
  default     = 20
}

variable "deletion_protection" {
  description = "Whether database and load balancer refuse to be destroyed. Off for trials only."
  type        = bool
  default     = true
}

variable "web" {
  description = "The web service: vCPU units and MiB of a task, tasks at least and at most, requests a minute that one takes."
  type = object({
    cpu      = optional(number, 512), memory = optional(number, 1024), least = optional(number, 2), most = optional(number, 10),
    requests = optional(number, 1500)
  })
  default = {}
}

variable "annotator" {
  description = "The annotators: size of a task, tasks at least and at most, waiting jobs that one may have before another starts, tasks that are not Spot."
  type = object({
    cpu     = optional(number, 2048), memory = optional(number, 8192), least = optional(number, 0), most = optional(number, 20),
    backlog = optional(number, 4), on_demand = optional(number, 1), disk_gib = optional(number, 100)
  })
  default = {}
}

variable "glacier_vault" {
  description = "The name of a classic Glacier vault to use beside the bucket; AWS makes none for new customers. Empty: none."
  type        = string
  default     = ""
}

variable "archive_class" {
  description = "The storage class of archived results."
  type        = string
  default     = "GLACIER"
  validation {
    condition     = contains(["GLACIER", "DEEP_ARCHIVE"], var.archive_class)
    error_message = "archive_class is GLACIER or DEEP_ARCHIVE."
  }
}

variable "log_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365
}
