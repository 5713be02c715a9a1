"""Bucket: images in S3 storage instead of on a disk."""
