terraform {
  required_version = ">= 1.11" # arguments that are written and never kept in the state
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { Service = var.name }
  }
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_availability_zones" "this" {
  state = "available"
}

locals {
  account = data.aws_caller_identity.this.account_id
  # Bucket names are the world's: the account keeps them apart.
  bucket = { for part in ["uploads", "results", "archive"] : part => "${var.name}-${local.account}-${part}" }
  queues = ["annotate", "archive", "notify", "clean"]
}
