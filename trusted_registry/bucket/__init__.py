"""Bucket: images in S3 storage instead of on a disk: what the registry does there, and what we do."""
